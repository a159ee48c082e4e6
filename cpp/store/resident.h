// SPDX-License-Identifier: Apache-2.0
// The database of one directory in this process: whose turn it is among threads, the lock that
// keeps other processes out, and the database itself, which stays open from one operation to the
// next until another process wants it, it has been idle, or something failed.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/time.h"
#include "base/unique_fd.h"
#include "store/database.h"
#include "store/lock.h"
#include "store/store.h"
#include "store/timer.h"
#include "store/turn.h"

namespace ctrd::store {

class Resident {
 public:
  explicit Resident(UniqueFd dir);
  ~Resident();  // closes; no operation may be under way. A fork()ed child must leak it instead
  Resident(const Resident&) = delete;
  Resident& operator=(const Resident&) = delete;

  Turns turns;
  int dir() const { return dir_.get(); }
  const std::string& path() const { return path_; }  // for messages

  // All with the turn taken.

  // Open it, unless it is. False: the lock was not got in time.
  bool open(const StoreConfig& config, TimePoint since, TimePoint until);
  // The lock alone: it is closed.
  bool lock(TimePoint since, TimePoint until);
  // With the lock alone.
  std::vector<DamagedFile> repair(const std::function<void(const View&, Batch&)>& first);
  Database& database() { return *database_; }
  // As Database's; on a full disk once more without the reserve, if the batch may use it.
  void apply(const Batch& batch);
  // The end of an operation: keeps it open, or closes it.
  void finish();

  // Without the turn: closes it unless somebody uses it.
  void close_if_free();

 private:
  void open_database(bool was_clean);
  bool release_reserve(const Error& error) const;
  void close();
  bool tick();  // the timer's

  UniqueFd dir_;
  std::string path_;
  std::shared_ptr<Reserve> reserve_;
  Nanos idle_close_{};
  TimePoint used_{};
  std::unique_ptr<DatabaseLock> lock_;
  std::optional<Database> database_;
  Timer timer_;  // the last member: its thread uses the others
};

}  // namespace ctrd::store
