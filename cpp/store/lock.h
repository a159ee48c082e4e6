// SPDX-License-Identifier: Apache-2.0
// The turnstile of two lock files: take gate, take db, release gate. Only the process in the gate
// contends for db, so none starves there. Locks are tried, not awaited: a flock that blocks can be
// neither interrupted nor given a deadline.
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
  // not got. since: when the caller began to wait; who has waited longer tries more often.
  static std::unique_ptr<DatabaseLock> take(int dir, TimePoint since, TimePoint until);
  // Who keeps others out: who has it, or sits in the gate without taking it, or had it last.
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
