// SPDX-License-Identifier: Apache-2.0
#include <leveldb/options.h>
#include <leveldb/table.h>
#include <sys/stat.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "store/database.h"
#include "store/env.h"
#include "store/log_file.h"
#include "store/repair.h"

namespace ctrd::store {
namespace {

constexpr std::size_t kMaxFile = 1u << 30;
constexpr std::size_t kTail = 8;  // of a table's key: sequence number and kind

struct Newest {
  uint64_t sequence = 0;
  std::optional<std::string> value;  // none: erased
};
using Entries = std::map<std::string, Newest, std::less<>>;

void keep_newer(Entries& entries, const LogChange& change) {
  auto found = entries.find(change.key);
  if (found == entries.end()) found = entries.emplace(change.key, Newest{}).first;
  Newest& newest = found->second;
  if (newest.sequence > change.sequence) return;
  newest.sequence = change.sequence;
  newest.value = change.value;
}

std::optional<std::string> take_log(int dir, const std::string& name, Entries& entries) {
  std::optional<std::string> why;
  auto take = [&](const LogChange& change) { keep_newer(entries, change); };
  auto damage = read_log(read_file_at(dir, name, kMaxFile), [&](std::string_view record) {
    if (!read_batch(record, take)) why = "a record is no batch";
  });
  if (damage) why = damage->why + " at byte " + std::to_string(damage->at);
  return why;
}

// "[...]" of LevelDB's words, without paths.
std::string words_of(const leveldb::Status& status) {
  std::string words = status.ToString();
  std::size_t path = words.find("/proc/self/fd/");
  return path == words.npos ? words : words.substr(0, path);
}

class TableFile {
 public:
  TableFile(int dir, const std::string& name) {
    const std::string path = fd_path(dir, name);
    struct stat facts {};
    if (::stat(path.c_str(), &facts) < 0) throw sys_error("stat " + name);
    options_.paranoid_checks = true;
    options_.env = base_env();
    leveldb::RandomAccessFile* file = nullptr;
    status_ = base_env()->NewRandomAccessFile(path, &file);
    file_.reset(file);
    if (!status_.ok()) return;
    leveldb::Table* table = nullptr;
    status_ = leveldb::Table::Open(options_, file, static_cast<uint64_t>(facts.st_size), &table);
    table_.reset(table);
  }

  // All blocks that can be read.
  leveldb::Status read(Entries& entries) const {
    if (!status_.ok()) return status_;
    leveldb::ReadOptions how;
    how.verify_checksums = true;
    how.fill_cache = false;
    std::unique_ptr<leveldb::Iterator> entry(table_->NewIterator(how));
    for (entry->SeekToFirst(); entry->Valid(); entry->Next())
      if (!take(entry->key(), entry->value(), entries))
        return leveldb::Status::Corruption("a key that is too short");
    return entry->status();
  }

 private:
  static bool take(const leveldb::Slice& key, const leveldb::Slice& value, Entries& entries) {
    if (key.size() < kTail) return false;
    uint64_t tail = 0;
    for (std::size_t i = 1; i <= kTail; ++i)
      tail = tail << 8 | static_cast<unsigned char>(key[key.size() - i]);
    LogChange change{tail >> 8, {key.data(), key.size() - kTail}, std::nullopt};
    if (tail & 0xff) change.value = std::string_view(value.data(), value.size());
    keep_newer(entries, change);
    return true;
  }

  leveldb::Options options_;
  std::unique_ptr<leveldb::RandomAccessFile> file_;
  std::unique_ptr<leveldb::Table> table_;
  leveldb::Status status_;
};

// Throws what is wrong with the system (no descriptor or memory left, a disk that does not answer):
// the table may be well, and what is in it must not be taken for lost.
std::optional<std::string> take_table(int dir, const std::string& name, Entries& entries) {
  leveldb::Status status = TableFile(dir, name).read(entries);
  if (status.ok()) return std::nullopt;
  Error error = status_error(status, "repair", real_path(fd_path(dir)), name);
  if (error.sys_errno() != 0) throw std::move(error);
  return words_of(status);
}

// CURRENT and what it names, as far as that matters: they are made anew.
std::optional<DamagedFile> damage_of_manifest(int dir) {
  auto current = find_file_at(dir, "CURRENT", 4096);
  if (!current) return DamagedFile{"CURRENT", "is missing"};
  if (!current->starts_with("MANIFEST-") || !current->ends_with('\n') ||
      current->find('/') != current->npos)
    return DamagedFile{"CURRENT", "names no manifest"};
  const std::string name = current->substr(0, current->size() - 1);
  auto bytes = find_file_at(dir, name, kMaxFile);
  if (!bytes) return DamagedFile{name, "is missing"};
  auto damage = read_log(*bytes, [](std::string_view) {});
  if (!damage) return std::nullopt;
  return DamagedFile{name, damage->why + " at byte " + std::to_string(damage->at)};
}

}  // namespace

Salvaged salvage(int dir) {
  Salvaged result;
  Entries all;
  if (auto damage = damage_of_manifest(dir)) result.damage.push_back(std::move(*damage));
  std::vector<std::string> names = list_dir(dir);
  std::ranges::sort(names);
  for (const std::string& name : names) {
    std::optional<std::string> why;
    if (name.ends_with(".log")) why = take_log(dir, name, all);
    if (name.ends_with(".ldb") || name.ends_with(".sst")) why = take_table(dir, name, all);
    if (why) result.damage.push_back({name, std::move(*why)});
  }
  for (auto& [key, newest] : all)
    if (newest.value) result.entries.emplace(key, std::move(*newest.value));
  return result;
}

}  // namespace ctrd::store
