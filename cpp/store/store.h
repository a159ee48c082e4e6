// SPDX-License-Identifier: Apache-2.0
// One LevelDB shared by many processes: held open under two lock files (a turnstile: take gate,
// take db, release gate) and handed over when another process waits in the gate, or closed when
// idle; a marker byte says whether the last holder closed it cleanly. The only room with LevelDB.
// Not for records or keys' meaning. Source: design.md 6.1, reliability.md 0.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/time.h"
#include "base/unique_fd.h"
#include "store/reserve.h"

namespace ctrd::store {

// A consistent view while the database is open; valid only inside the function that got it.
class View {
 public:
  virtual ~View() = default;
  virtual std::optional<std::string> find(std::string_view key) const = 0;
  // Which opening of the database this is: while it is the same, no other process has written.
  virtual uint64_t opening() const = 0;
  // Keys in [first, last) in byte order; f returns false to stop.
  virtual void scan(
      std::string_view first, std::string_view last,
      const std::function<bool(std::string_view key, std::string_view value)>& f) const = 0;
  void scan_prefix(
      std::string_view prefix,
      const std::function<bool(std::string_view key, std::string_view value)>& f) const;
};

// Changes that are made whole or not at all, synced before write() returns.
class Batch {
 public:
  void put(std::string key, std::string value) {
    changes_.emplace_back(std::move(key), std::move(value));
  }
  void erase(std::string key) { changes_.emplace_back(std::move(key), std::nullopt); }
  bool empty() const { return changes_.empty(); }
  // This batch only tidies up (removes trash keys): it need not be synced, and a full disk is not
  // its failure.
  void relax() { relaxed_ = true; }
  bool relaxed() const { return relaxed_; }
  // This batch gives space back: on a full disk the reserve is released for it.
  void use_reserve() { uses_reserve_ = true; }
  bool uses_reserve() const { return uses_reserve_; }
  const std::vector<std::pair<std::string, std::optional<std::string>>>& changes() const {
    return changes_;
  }

 private:
  std::vector<std::pair<std::string, std::optional<std::string>>> changes_;
  bool relaxed_ = false;
  bool uses_reserve_ = false;
};

struct StoreConfig {
  Nanos lock_timeout = std::chrono::seconds(30);
  // How long the database stays open after an operation, for the next one. 0: not at all.
  Nanos idle_close = std::chrono::milliseconds(50);
  // Released by an opening that meets a full disk and by batches that use it; kept otherwise.
  std::shared_ptr<Reserve> reserve = {};
};

// Of a database: what of this file could not be read.
struct DamagedFile {
  std::string file, problem;
};

class Store {
 public:
  // dir: the metadata directory (0700, exists). Takes no lock and opens nothing. Two Stores of one
  // directory in one process share one handle (by device and inode), in any number of threads. The
  // last of them to go closes the database, and so does the end of the process.
  static std::shared_ptr<Store> at(UniqueFd dir, const StoreConfig& config = {});
  virtual ~Store() = default;

  // Runs f with the database open. Throws kUnavailable/kRoot (RootBusy; context holder_pid,
  // holder_cmd, since) after lock_timeout or wait.deadline, whichever is first; kFork in a forked
  // child that inherited it; kDataLoss (context path, hint) for a corrupted database; what f
  // throws. f must not block nor call another store operation.
  virtual void read(const Wait& wait, const std::function<void(const View&)>& f) = 0;
  // f looks and fills a batch, which is then written in one synced write under the same lock. An
  // empty batch writes nothing. If f throws, nothing is written. A failed write (disk full ...)
  // throws, closes the database with its marker dirty, and nothing of it is visible later.
  virtual void write(const Wait& wait, const std::function<void(const View&, Batch&)>& f) = 0;
  // Makes the database anew of all that can be read of its files, and keeps those that cannot be
  // read whole in <dir>/lost. Waits and throws as the others. Also for one that is well. What
  // `first` fills its batch with is in the new one before anybody can open it; if it throws, the
  // old one stays as it is.
  virtual std::vector<DamagedFile> repair(
      const Wait& wait, const std::function<void(const View&, Batch&)>& first) = 0;
};

// Called once by the process (engine's atfork handler): in the child, closes all inherited lock
// descriptors (close, never LOCK_UN) and marks every inherited Store as forked.
void after_fork_in_child();

}  // namespace ctrd::store
