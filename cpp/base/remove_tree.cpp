// SPDX-License-Identifier: Apache-2.0
// remove_tree_at of files.h: by descriptors, whatever the tree's depth, and never through a mount.
#include <linux/openat2.h>
#include <sys/syscall.h>

#include <cerrno>

#include "base/error.h"
#include "base/files.h"
#include "base/process.h"

namespace ctrd {
namespace {

// Deeper directories are moved up first, so that a hostile depth costs neither stack nor
// descriptors.
constexpr int kMaxDepth = 32;
// Each round gets 32 levels deeper; a writer that is still at it may add as fast as we remove.
constexpr int kMaxRounds = 100'000;

[[noreturn]] void fail(int err, int dir, const std::string& name) {
  if (err == EXDEV || err == EBUSY)
    throw failed_precondition("remove " + name + " in " + fd_path(dir) + ": something is mounted")
        .with("name", name);
  throw sys_error(err, "remove " + name + " in " + fd_path(dir));
}

// RESOLVE_NO_XDEV refuses bind mounts of the same filesystem too, which st_dev would not tell.
int open_subdir(int dir, const std::string& name) {
  open_how how{};
  how.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV;
  return static_cast<int>(::syscall(SYS_openat2, dir, name.c_str(), &how, sizeof how));
}

bool remove_entry(int dir, const std::string& name, int top, int depth);

void remove_children(int dir, int top, int depth) {
  for (const auto& name : list_dir(dir)) remove_entry(dir, name, top, depth);
}

void move_up(int dir, const std::string& name, int top) {
  std::string above = ".deep-" + random_hex(8);
  if (::renameat(dir, name.c_str(), top, above.c_str()) < 0 && errno != ENOENT)
    fail(errno, dir, name);
}

// Empties the directory and removes it, or moves it up to the top. False: look again.
bool remove_subdir(int dir, const std::string& name, int top, int depth) {
  UniqueFd child(open_subdir(dir, name));
  if (!child) {
    // Gone, or replaced by something else meanwhile.
    if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP || errno == EAGAIN) return false;
    fail(errno, dir, name);
  }
  if (depth >= kMaxDepth) {
    move_up(dir, name, top);
    return true;
  }
  remove_children(child.get(), top < 0 ? child.get() : top, depth + 1);
  if (::unlinkat(dir, name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) return true;
  if (errno != ENOTEMPTY && errno != ENOTDIR) fail(errno, dir, name);
  return false;
}

// False: was not there.
bool remove_entry(int dir, const std::string& name, int top, int depth) {
  for (int round = 0; round < kMaxRounds; ++round) {
    if (::unlinkat(dir, name.c_str(), 0) == 0) return true;
    if (errno == ENOENT) return round > 0;
    if (errno != EISDIR) fail(errno, dir, name);
    if (remove_subdir(dir, name, top, depth)) return true;
  }
  fail(ENOTEMPTY, dir, name);
}

}  // namespace

bool remove_tree_at(int dir, const std::string& name) {
  std::size_t slash = name.rfind('/');
  std::string leaf = slash == name.npos ? name : name.substr(slash + 1);
  if (leaf.empty() || leaf == "." || leaf == ".." || leaf.find('\0') != leaf.npos)
    throw invalid("path", name, "must end in a file's name");
  if (slash == name.npos) return remove_entry(dir, leaf, -1, 0);
  auto parent = find_dir_at(dir, name.substr(0, slash));
  return parent && remove_entry(parent->get(), leaf, -1, 0);
}

}  // namespace ctrd
