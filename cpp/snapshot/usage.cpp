// SPDX-License-Identifier: Apache-2.0
#include "snapshot/usage.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <set>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/files.h"

namespace ctrd::snapshot {
namespace {

constexpr int kMaxDepth = 400;    // two descriptors a level
constexpr uint64_t kBlock = 512;  // stat(2)'s, whatever the filesystem has

class Walk {
 public:
  explicit Walk(const Wait& wait) : wait_(wait) {}

  void add(const struct stat& facts) {
    bool is_shared = facts.st_nlink > 1 && !S_ISDIR(facts.st_mode);
    if (is_shared && !seen_.emplace(facts.st_dev, facts.st_ino).second) return;
    usage_.size += static_cast<uint64_t>(facts.st_blocks) * kBlock;
    ++usage_.inodes;
  }
  void go(int dir, int depth) {
    wait_.check();
    if (depth > kMaxDepth) throw Error(Code::kResourceExhausted, "usage: too many levels");
    for (const std::string& name : list_dir(dir)) visit(dir, name, depth);
  }
  const Usage& usage() const { return usage_; }

 private:
  void visit(int dir, const std::string& name, int depth) {
    struct stat facts {};
    if (::fstatat(dir, name.c_str(), &facts, AT_SYMLINK_NOFOLLOW) < 0) {
      if (errno == ENOENT) return;
      throw sys_error("stat " + fd_path(dir, name));
    }
    add(facts);
    if (!S_ISDIR(facts.st_mode)) return;
    try {
      if (auto below = find_dir_at(dir, name)) go(below->get(), depth + 1);
    } catch (const Error& error) {
      if (error.sys_errno() != ENOTDIR && error.sys_errno() != ELOOP) throw;  // replaced meanwhile
    }
  }

  const Wait& wait_;
  Usage usage_;
  std::set<std::pair<dev_t, ino_t>> seen_;
};

}  // namespace

Usage usage_of(int dir, const Wait& wait) {
  struct stat facts {};
  if (::fstat(dir, &facts) < 0) throw sys_error("stat a snapshot's directory");
  Walk walk(wait);
  walk.add(facts);
  walk.go(dir, 0);
  return walk.usage();
}

}  // namespace ctrd::snapshot
