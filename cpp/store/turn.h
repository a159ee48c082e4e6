// SPDX-License-Identifier: Apache-2.0
// Whose turn it is among the threads of one process: first come, first served. A flock says nothing
// between threads, and LevelDB must not be opened twice in one process.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <set>
#include <thread>

#include "base/time.h"

namespace ctrd::store {

class Turns {
 public:
  uint64_t ticket();
  // Waits until it is this ticket's turn; false: not before `until`, and the ticket waits no more
  // (others pass it) until it is used again, when its place is what it was. Throws if this thread
  // has the turn already.
  bool take(uint64_t ticket, TimePoint until);
  bool try_take();  // false: somebody has it, or waits for it
  void release();

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::set<uint64_t> waiting_;
  std::thread::id holder_;  // none: free
  uint64_t last_ = 0;
};

}  // namespace ctrd::store
