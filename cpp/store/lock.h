// SPDX-License-Identifier: Apache-2.0
// The turnstile of two lock files, and a queue before it: wait to be first in the queue, take gate,
// take db, release gate. First come, first served: with the gate alone, whoever tries at the right
// moment passes those who have waited for long. Locks are tried, not awaited: one that blocks can
// be neither interrupted nor given a deadline.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/time.h"
#include "store/fork_guard.h"
#include "store/holder.h"

namespace ctrd::store {

// The lock of the database, held. Not clean until said so.
class DatabaseLock {
 public:
  // dir: where the lock files are. Tries until `until`, giving up early after a signal. nullptr:
  // not got. since: when the caller began to wait, which is its place in the queue.
  static std::unique_ptr<DatabaseLock> take(int dir, TimePoint since, TimePoint until);
  // Who keeps others out: who has it, or was the last in the gate, where it may have been stopped.
  // The queue is not asked: to close it would end another thread's place in it.
  static Holder holder(int dir);

  // The last holder closed the database, in this boot.
  bool was_clean() const { return was_clean_; }
  void mark_clean() { write_marker(db_.fd(), kClean); }
  // Another process waits in the gate. Does not block.
  bool wanted() noexcept;

 private:
  explicit DatabaseLock(int dir) : gate_(dir, "gate"), db_(dir, "db") {}

  LockFile gate_, db_;
  bool was_clean_ = false;
};

}  // namespace ctrd::store
