// SPDX-License-Identifier: Apache-2.0
#include "store/repair.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "store/database.h"

namespace ctrd::store {
namespace {

constexpr const char* kWork = ".repair";
constexpr const char* kLost = "lost";
constexpr std::size_t kBatch = 256u << 10;  // bytes

// Of "000012.ldb" or "MANIFEST-000012"; 0: it has none.
uint64_t number_of(std::string_view name) {
  if (name.starts_with("MANIFEST-")) name.remove_prefix(9);
  return to_number(name.substr(0, name.find('.'))).value_or(0);
}

uint64_t highest_number(int dir) {
  uint64_t highest = 0;
  for (const std::string& name : list_dir(dir)) highest = std::max(highest, number_of(name));
  return highest;
}

std::string log_name(uint64_t number) {
  std::string digits = std::to_string(number);
  return std::string(6 - std::min<std::size_t>(6, digits.size()), '0') + digits + ".log";
}

using Change = std::function<void(const View&, Batch&)>;

void write_all_entries(Database& database, std::map<std::string, std::string>& entries) {
  Batch batch;
  std::size_t size = 0;
  for (auto& [key, value] : entries) {
    size += key.size() + value.size();
    batch.put(key, std::move(value));
    if (size < kBatch) continue;
    database.apply(std::exchange(batch, {}));
    size = 0;
  }
  if (!batch.empty()) database.apply(batch);
}

void make(Database& database, const Change& change) {
  Batch batch;
  if (change) change(database, batch);
  if (!batch.empty()) database.apply(batch);
}

template <typename F>
void open_and(int dir, const std::string& path, const F& f) {
  Database database(dir, path, LogUse::kWhole);
  f(database);
  database.finish("make anew");
}

// Its files have numbers above `highest`, so that they can stand beside the old ones: an empty log
// of that number makes LevelDB go on from there. Its own log is empty in the end.
void make_new(int work, const std::string& path, std::map<std::string, std::string> entries,
              const Change& first, uint64_t highest) {
  open_and(work, path, [](Database&) {});
  create_file_at(work, log_name(highest + 1), "", 0600);
  open_and(work, path, [&](Database& database) {
    write_all_entries(database, entries);
    make(database, first);
  });
  open_and(work, path, [](Database&) {});
}

// Another link, so that nothing is in two places if this is killed.
void keep_lost(int dir, const std::vector<DamagedFile>& damage) {
  if (damage.empty()) return;
  UniqueFd lost = make_dirs_at(dir, kLost, 0700);
  for (const DamagedFile& one : damage) {
    std::string name = free_name_at(lost.get(), one.file);
    if (::linkat(dir, one.file.c_str(), lost.get(), name.c_str(), 0) < 0 && errno != ENOENT)
      throw sys_error("keep the damaged " + one.file);
  }
  sync_dir(lost.get());
}

// CURRENT is what counts: before it has changed, LevelDB takes the new files for leftovers, and
// then the old ones.
void put_in_place(int work, int dir) {
  for (const std::string& name : list_dir(work))
    if (name.ends_with(".ldb") || name.starts_with("MANIFEST-")) rename_at(work, name, dir, name);
  sync_dir(dir);
  if (::renameat(work, "CURRENT", dir, "CURRENT") < 0) throw sys_error("rename CURRENT");
  sync_dir(dir);
}

}  // namespace

std::vector<DamagedFile> repair_database(int dir, const std::string& path, const Change& first) {
  Salvaged saved = salvage(dir);
  remove_tree_at(dir, kWork);  // of one that was killed
  UniqueFd work = make_dir_at(dir, kWork, 0700);
  make_new(work.get(), path, std::move(saved.entries), first, highest_number(dir));
  keep_lost(dir, saved.damage);
  put_in_place(work.get(), dir);
  remove_tree_at(dir, kWork);
  open_and(dir, path, [](Database&) {});  // which removes the old files
  return std::move(saved.damage);
}

}  // namespace ctrd::store
