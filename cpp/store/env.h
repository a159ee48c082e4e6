// SPDX-License-Identifier: Apache-2.0
// LevelDB's view of the system, for one opening of one database: no thread ever starts (compactions
// queue up and run where we say), no LOCK file, whatever fails is remembered, in a compaction too,
// and so is the file that was read last: LevelDB does not name what is damaged.
#pragma once

#include <leveldb/env.h>

#include <cstdint>
#include <deque>
#include <string>
#include <utility>
#include <vector>

namespace ctrd::store {

// What Envs stand on: the system, unless a test puts faults between.
leveldb::Env* base_env();
void set_base_env(leveldb::Env* env);

// Not thread-safe: one thread at a time uses a database.
class Env : public leveldb::EnvWrapper {
 public:
  Env();

  // Runs the next thing that LevelDB wanted done in the background; false: there is none. A write
  // of LevelDB waits for it when two write buffers are full, and a close until nothing is left, for
  // ever in here.
  bool run_next();
  // A write buffer has been filled since this was asked last: a new log was begun.
  bool filled_buffer() { return std::exchange(filled_buffer_, false); }

  // Something failed: the files may end in the middle of a record, LevelDB may refuse all writes.
  bool failed() const { return !failure_.ok(); }
  const leveldb::Status& failure() const { return failure_; }  // the first one
  void note(const leveldb::Status& status) {
    if (failure_.ok()) failure_ = status;
  }

  // A log could not be read. LevelDB takes that for the log's end, and removes the log once it has
  // written down what it has read: so from now on no write may succeed.
  void poison(const leveldb::Status& status);
  // What every write begins with.
  const leveldb::Status& writable() const { return poison_; }

  // The newest log and its size, and cutting it back to that (or to nothing, if it is newer): what
  // a failed write left in it must not come back to life. Cutting needs no space.
  struct LogEnd {
    std::string path;
    uint64_t size = 0;
  };
  LogEnd log_end() const;
  void cut_log(const LogEnd& end) const;

  // The name of the file read last.
  std::string last_read() const { return last_read_.substr(last_read_.rfind('/') + 1); }
  void reads(const std::string& path) { last_read_ = path; }

  // False only if it surely is not there: LevelDB makes a new database where it finds none.
  bool FileExists(const std::string& path) override;
  // LevelDB's own takes a directory that cannot be read on for its end, and misses files.
  leveldb::Status GetChildren(const std::string& path, std::vector<std::string>* names) override;
  leveldb::Status NewSequentialFile(const std::string& path,
                                    leveldb::SequentialFile** file) override;
  leveldb::Status NewRandomAccessFile(const std::string& path,
                                      leveldb::RandomAccessFile** file) override;
  leveldb::Status NewWritableFile(const std::string& path, leveldb::WritableFile** file) override;
  leveldb::Status NewAppendableFile(const std::string& path, leveldb::WritableFile** file) override;
  leveldb::Status RemoveFile(const std::string& path) override;
  leveldb::Status RenameFile(const std::string& from, const std::string& to) override;
  leveldb::Status LockFile(const std::string& path, leveldb::FileLock** lock) override;
  leveldb::Status UnlockFile(leveldb::FileLock* lock) override;
  void Schedule(void (*work)(void*), void* argument) override;

 private:
  leveldb::Status watched(const std::string& path, leveldb::Status status,
                          leveldb::WritableFile** file);

  std::deque<std::pair<void (*)(void*), void*>> background_;
  std::string log_path_, last_read_;
  leveldb::Status poison_, failure_;
  bool filled_buffer_ = false;
};

}  // namespace ctrd::store
