// SPDX-License-Identifier: Apache-2.0
#include "store/database.h"

#include <leveldb/comparator.h>
#include <leveldb/write_batch.h>

#include <atomic>
#include <vector>

#include "base/files.h"
#include "base/text.h"

namespace ctrd::store {
namespace {

// Opening replays the log, so it is kept short: a get costs 0.2 ms with this and 1 MiB up to 6.
// Values come compressed, so blocks are not.
constexpr std::size_t kWriteBuffer = 128u << 10;
constexpr int kMaxOpenFiles = 64;
constexpr uint64_t kMostUponEachOther = 4;  // LevelDB's own kL0_CompactionTrigger

leveldb::Slice slice(std::string_view text) { return {text.data(), text.size()}; }
std::string_view view(const leveldb::Slice& text) { return {text.data(), text.size()}; }

class NoLogger : public leveldb::Logger {
 public:
  void Logv(const char* /*format*/, std::va_list /*arguments*/) override {}
};

// Without one LevelDB renames and writes a LOG file at each opening.
leveldb::Logger* no_logger() {
  static auto* logger = new NoLogger;  // a thread may close a database while the process exits
  return logger;
}

leveldb::Options options(Env* env, LogUse log) {
  leveldb::Options result;
  result.create_if_missing = true;
  result.reuse_logs = log == LogUse::kReuse;
  result.paranoid_checks = log != LogUse::kTorn;
  result.env = env;
  result.info_log = no_logger();
  result.write_buffer_size = kWriteBuffer;
  result.max_open_files = kMaxOpenFiles;
  result.compression = leveldb::kNoCompression;
  return result;
}

leveldb::ReadOptions checked() {
  leveldb::ReadOptions result;
  result.verify_checksums = true;
  return result;
}

leveldb::WriteBatch to_leveldb(const Batch& batch) {
  leveldb::WriteBatch result;
  for (const auto& [key, value] : batch.changes()) {
    if (value)
      result.Put(key, *value);
    else
      result.Delete(key);
  }
  return result;
}

uint64_t next_opening() {
  static std::atomic<uint64_t> openings = 0;
  return ++openings;
}

}  // namespace

void prepare_leveldb() {
  no_logger();
  leveldb::BytewiseComparator();
  leveldb::Env::Default();
}

Database::Database(int dir, std::string path, LogUse log)
    : path_(std::move(path)), opening_(next_opening()) {
  check_current(dir);
  leveldb::DB* db = nullptr;
  leveldb::Status status = leveldb::DB::Open(options(&env_, log), fd_path(dir), &db);
  db_.reset(db);
  check(status, "open");
  run_background();
}

// A database's first log comes after its CURRENT. LevelDB would begin a new one in its place.
void Database::check_current(int dir) const {
  std::vector<std::string> names;
  if (env_.FileExists(fd_path(dir, "CURRENT"))) return;
  check(env_.GetChildren(fd_path(dir), &names), "open");
  for (const std::string& name : names) {
    if (!name.ends_with(".log") && !name.ends_with(".ldb")) continue;
    env_.reads("CURRENT");
    check(leveldb::Status::Corruption("CURRENT is not there, but " + name + " is"), "open");
  }
}

Database::~Database() { close(); }

void Database::run_background() {
  if (env_.filled_buffer()) env_.run_next();
  std::string tables;
  while (db_->GetProperty("leveldb.num-files-at-level0", &tables) &&
         to_number(tables).value_or(0) >= kMostUponEachOther && env_.run_next())
    continue;
}

bool Database::close() {
  while (db_ && env_.run_next()) continue;
  db_.reset();
  return !env_.failed();
}

void Database::finish(const std::string& what) {
  if (!close()) throw status_error(env_.failure(), what, path_);
}

void Database::check(const leveldb::Status& status, const char* what) const {
  env_.note(status);
  if (!status.ok()) throw status_error(status, what, path_, env_.last_read());
}

std::optional<std::string> Database::find(std::string_view key) const {
  std::string value;
  leveldb::Status status = db_->Get(checked(), slice(key), &value);
  if (status.IsNotFound()) return std::nullopt;
  check(status, "read");
  return value;
}

void Database::scan(std::string_view first, std::string_view last,
                    const std::function<bool(std::string_view, std::string_view)>& f) const {
  std::unique_ptr<leveldb::Iterator> entry(db_->NewIterator(checked()));
  for (entry->Seek(slice(first)); entry->Valid(); entry->Next()) {
    if (view(entry->key()) >= last || !f(view(entry->key()), view(entry->value()))) break;
  }
  check(entry->status(), "read");
}

void Database::apply(const Batch& batch) {
  leveldb::WriteBatch changes = to_leveldb(batch);
  leveldb::WriteOptions how;
  how.sync = !batch.relaxed();
  Env::LogEnd before = env_.log_end();
  leveldb::Status status = db_->Write(how, &changes);
  if (status.ok()) return run_background();
  env_.note(status);
  close();  // before its log is cut
  env_.cut_log(before);
  if (!batch.relaxed()) throw status_error(status, "write", path_);
}

}  // namespace ctrd::store
