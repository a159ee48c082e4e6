// SPDX-License-Identifier: Apache-2.0
#include "store/timer.h"

#include <signal.h>

#include <utility>

namespace ctrd::store {
namespace {

constexpr auto kTick = std::chrono::milliseconds(5);
constexpr std::size_t kStack = 512u << 10;  // closing a database may compact it

// A new thread inherits the mask.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

}  // namespace

void Timer::stop() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  stopped_.notify_all();
  join();
}

void Timer::join() {
  if (std::exchange(joinable_, false)) ::pthread_join(thread_, nullptr);
}

bool Timer::create() {
  pthread_attr_t attributes;
  ::pthread_attr_init(&attributes);
  ::pthread_attr_setstacksize(&attributes, kStack);
  SignalsBlocked blocked;
  bool created = ::pthread_create(&thread_, &attributes, entry, this) == 0;
  ::pthread_attr_destroy(&attributes);
  if (created) ::pthread_setname_np(thread_, "ctrd-store");
  return created;
}

bool Timer::start() {
  if (running_) return true;
  join();  // one that said it ends has nothing left to do
  running_ = joinable_ = create();
  return running_;
}

bool Timer::pause() {
  std::unique_lock lock(mutex_);
  return !stopped_.wait_for(lock, kTick, [&] { return stop_; });
}

void* Timer::entry(void* self) {
  auto* timer = static_cast<Timer*>(self);
  while (timer->pause() && timer->tick_()) continue;
  return nullptr;
}

}  // namespace ctrd::store
