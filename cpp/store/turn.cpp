// SPDX-License-Identifier: Apache-2.0
#include "store/turn.h"

#include "base/error.h"

namespace ctrd::store {

uint64_t Turns::ticket() {
  std::lock_guard lock(mutex_);
  return ++last_;
}

bool Turns::take(uint64_t ticket, TimePoint until) {
  std::unique_lock lock(mutex_);
  if (holder_ == std::this_thread::get_id())
    throw Error(Code::kInternal, "use the store: an operation of this thread is under way");
  waiting_.insert(ticket);
  auto mine = [&] { return holder_ == std::thread::id() && *waiting_.begin() == ticket; };
  bool got = changed_.wait_until(lock, until, mine);
  waiting_.erase(ticket);
  if (got) holder_ = std::this_thread::get_id();
  changed_.notify_all();  // those behind may be first now
  return got;
}

bool Turns::try_take() {
  std::lock_guard lock(mutex_);
  if (holder_ != std::thread::id() || !waiting_.empty()) return false;
  holder_ = std::this_thread::get_id();
  return true;
}

void Turns::release() {
  std::lock_guard lock(mutex_);
  holder_ = {};
  changed_.notify_all();
}

}  // namespace ctrd::store
