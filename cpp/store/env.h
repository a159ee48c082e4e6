// SPDX-License-Identifier: Apache-2.0
// LevelDB's view of the system, for one opening of one database: no thread ever starts (compactions
// queue up and run where we say), no LOCK file, and any write that fails is remembered,
// those of a compaction too.
#pragma once

#include <leveldb/env.h>

#include <cstdint>
#include <deque>
#include <string>
#include <utility>

namespace ctrd::store {

// Not thread-safe: it lives inside one operation, in one thread.
class Env : public leveldb::EnvWrapper {
 public:
  Env();

  // Runs what LevelDB wanted done in the background, and what that wants done, until nothing is
  // left. LevelDB's write never waits for it: the queue is empty before, and there is one write an
  // opening.
  void run_background();

  // Some write failed: the files may end in the middle of a record.
  bool failed() const { return failed_; }
  void note(const leveldb::Status& status) { failed_ = failed_ || !status.ok(); }

  // The newest log and its size, and cutting it back to that (or to nothing, if it is newer): what
  // a failed write left in it must not come back to life. Cutting needs no space.
  struct LogEnd {
    std::string path;
    uint64_t size = 0;
  };
  LogEnd log_end() const;
  void cut_log(const LogEnd& end) const;

  leveldb::Status NewWritableFile(const std::string& path, leveldb::WritableFile** file) override;
  leveldb::Status NewAppendableFile(const std::string& path, leveldb::WritableFile** file) override;
  leveldb::Status RenameFile(const std::string& from, const std::string& to) override;
  leveldb::Status LockFile(const std::string& path, leveldb::FileLock** lock) override;
  leveldb::Status UnlockFile(leveldb::FileLock* lock) override;
  void Schedule(void (*work)(void*), void* argument) override;

 private:
  leveldb::Status watched(const std::string& path, leveldb::Status status,
                          leveldb::WritableFile** file);

  std::deque<std::pair<void (*)(void*), void*>> background_;
  std::string log_path_;
  bool failed_ = false;
};

}  // namespace ctrd::store
