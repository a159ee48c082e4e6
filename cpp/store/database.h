// SPDX-License-Identifier: Apache-2.0
// An open LevelDB. Knows nothing of locks: its caller holds them, and one thread at a time uses it.
#pragma once

#include <leveldb/db.h>

#include <memory>
#include <string>

#include "base/error.h"
#include "store/env.h"
#include "store/store.h"

namespace ctrd::store {

// LevelDB's only way to become an Error. path: the directory, as the user knows it.
// file: the one that was read last, "" if none.
//   kDataLoss, kRoot: corruption; context path, file, hint
//   errno at the end of an I/O error's words: as sys_error
Error status_error(const leveldb::Status& status, const std::string& what, const std::string& path,
                   const std::string& file = {});

// How an opening takes the log that is there.
enum class LogUse {
  kReuse,  // its last user closed it: go on writing behind it
  kWhole,  // read it; damage in it is damage of the database, what a killed writer left is none
  kTorn,   // the same, and what cannot be read at its end is left out, as after a power loss
};

// Makes what LevelDB keeps for the whole process, so that no fork comes between.
void prepare_leveldb();

class Database : public View {
 public:
  Database(int dir, std::string path, LogUse log);  // dir: descriptor of the directory
  ~Database() override;  // also finishes what LevelDB wanted done in the background

  std::optional<std::string> find(std::string_view key) const override;
  void scan(std::string_view first, std::string_view last,
            const std::function<bool(std::string_view, std::string_view)>& f) const override;
  uint64_t opening() const override { return opening_; }
  void apply(const Batch& batch);
  // What LevelDB wants done in the background and cannot wait: a full write buffer is written out,
  // and tables are merged when four are upon each other. It also wants to merge a table that was
  // looked into a hundred times in vain, which each create does a few times: that waits.
  void run_background();

  // Nothing has failed. If not, it must be closed: what is written behind a failure may be lost.
  bool ok() const { return db_ && !env_.failed(); }
  // Closes it. True: everything worked, so the next opening may reuse the log.
  bool close();
  // The same, for one that is worth nothing unless everything worked: throws what failed.
  void finish(const std::string& what);

 private:
  void check(const leveldb::Status& status, const char* what) const;
  void check_current(int dir) const;

  std::string path_;
  const uint64_t opening_;
  mutable Env env_;  // before db_, which uses it to the end
  std::unique_ptr<leveldb::DB> db_;
};

}  // namespace ctrd::store
