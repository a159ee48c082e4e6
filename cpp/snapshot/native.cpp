// SPDX-License-Identifier: Apache-2.0
#include "snapshot/native.h"

#include <unistd.h>

#include "base/error.h"
#include "base/files.h"
#include "base/leftover.h"
#include "snapshot/copy_tree.h"

namespace ctrd::snapshot {
namespace {

constexpr const char* kHalfMade = ".new-";

std::string fs_of(uint64_t number) { return std::to_string(number) + "/fs"; }

}  // namespace

std::vector<Mount> Native::active(uint64_t number, std::optional<uint64_t> parent,
                                  const Wait& wait) const {
  make_from(number, parent, wait);
  return mount(number, "rw");
}

std::vector<Mount> Native::view(uint64_t number, std::optional<uint64_t> parent,
                                const Wait& wait) const {
  if (parent) return mount(*parent, "ro");
  make_from(number, {}, wait);
  return mount(number, "ro");
}

std::vector<Mount> Native::over(uint64_t number, int bottom, const Wait& wait) const {
  make(number, bottom, wait);
  return mount(number, "rw");
}

void Native::make_from(uint64_t number, std::optional<uint64_t> parent, const Wait& wait) const {
  UniqueFd fs;
  if (parent) fs = open_dir_at(dir_, fs_of(*parent));
  make(number, fs.get(), wait);
}

void Native::make(uint64_t number, int parent, const Wait& wait) const {
  const std::string name = std::to_string(number);
  if (exists_at(dir_, fs_of(number))) return;
  const std::string half_made = name_of_ours(kHalfMade);
  try {
    UniqueFd top = make_dir_at(dir_, half_made, 0700);
    UniqueFd fs = make_dir_at(top.get(), "fs", 0755);
    if (parent >= 0) copy_tree(parent, fs.get(), wait);
    if (::syncfs(fs.get()) < 0)
      throw sys_error("sync snapshot " + name);  // or a power loss tears it
    make_dirs_at(dir_, name, 0700);
    rename_at(top.get(), "fs", dir_, fs_of(number));
    remove_tree_at(dir_, half_made);
  } catch (const Error& error) {
    remove_tree_at(dir_, half_made);
    bool is_there = error.code() == Code::kAlreadyExists && exists_at(dir_, fs_of(number));
    if (!is_there) throw;  // else somebody else was quicker
  } catch (...) {
    remove_tree_at(dir_, half_made);
    throw;
  }
}

std::vector<Mount> Native::mount(uint64_t number, const char* how) const {
  return {{"bind", path_ + '/' + fs_of(number), "", {"rbind", how}}};
}

void Native::remove_leftovers() const {
  for (const std::string& name : list_dir(dir_))
    if (is_leftover(name, kHalfMade)) remove_tree_at(dir_, name);
}

}  // namespace ctrd::snapshot
