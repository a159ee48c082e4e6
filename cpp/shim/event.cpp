// SPDX-License-Identifier: Apache-2.0
#include "shim/event.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <memory>

#include "base/log.h"

namespace ctrd::shim {
namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);

class Waiting {
 public:
  Waiting(std::vector<asio::steady_timer*>& list, asio::steady_timer* timer)
      : list_(list), timer_(timer) {
    list_.push_back(timer_);
  }
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;
  ~Waiting() { std::erase(list_, timer_); }

 private:
  std::vector<asio::steady_timer*>& list_;
  asio::steady_timer* timer_;
};

struct Result {
  Event done;
  bool finished = false;
  std::string value;
  std::exception_ptr error;
};

void say(const std::exception_ptr& error, std::string_view what) {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& e) {
    log(Level::kError, std::string(what) + ": " + e.what());
  }
}

}  // namespace

asio::awaitable<void> Event::wait(TimePoint deadline) {
  asio::steady_timer timer(co_await asio::this_coro::executor, deadline);
  Waiting waiting(waiting_, &timer);
  co_await timer.async_wait(kTuple);
}

void Event::notify() {
  for (asio::steady_timer* timer : waiting_) timer->cancel();
}

Lock::Guard::~Guard() {
  if (lock_ == nullptr) return;
  ++lock_->free_;
  lock_->freed_.notify();
}

asio::awaitable<Lock::Guard> Lock::acquire() {
  std::optional<Guard> guard = co_await try_acquire(kForever);
  co_return std::move(*guard);
}

asio::awaitable<std::optional<Lock::Guard>> Lock::try_acquire(TimePoint deadline) {
  while (free_ == 0) {
    if (Clock::now() >= deadline) co_return std::nullopt;
    co_await freed_.wait(deadline);
  }
  --free_;
  co_return Guard(this);
}

asio::awaitable<void> pause_for(Nanos duration) {
  asio::steady_timer timer(co_await asio::this_coro::executor, duration);
  co_await timer.async_wait(kTuple);
}

void start(asio::io_context& loop, asio::awaitable<void> work, std::string_view what) {
  asio::co_spawn(loop, std::move(work),
                 [what = std::string(what)](const std::exception_ptr& error) {
                   if (error) say(error, what);
                 });
}

asio::awaitable<std::string> apart(asio::io_context& loop, asio::awaitable<std::string> work) {
  auto result = std::make_shared<Result>();
  asio::co_spawn(loop, std::move(work), [result](std::exception_ptr error, std::string value) {
    result->error = std::move(error);
    result->value = std::move(value);
    result->finished = true;
    result->done.notify();
  });
  while (!result->finished) co_await result->done.wait();
  if (result->error) std::rethrow_exception(result->error);
  co_return std::move(result->value);
}

}  // namespace ctrd::shim
