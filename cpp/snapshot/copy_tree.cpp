// SPDX-License-Identifier: Apache-2.0
#include "snapshot/copy_tree.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <map>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "snapshot/copy_file.h"
#include "snapshot/entry.h"

namespace ctrd::snapshot {
namespace {

struct stat facts_at(int dir, const std::string& name) {
  struct stat facts {};
  if (::fstatat(dir, name.c_str(), &facts, AT_SYMLINK_NOFOLLOW) < 0)
    throw sys_error("stat " + fd_path(dir, name));
  return facts;
}

void copy_xattrs(const std::string& from, const std::string& to, bool is_layer) {
  for (const auto& [key, value] : read_xattrs(from, is_layer))
    if (::lsetxattr(to.c_str(), key.c_str(), value.data(), value.size(), 0) < 0)
      throw sys_error(std::string("set attribute ").append(key).append(" of ").append(to));
}

std::string joined(std::string path, const std::string& name) {
  if (!path.empty()) path += '/';
  path += name;
  return path;
}

class Copier {
 public:
  Copier(int top, bool is_layer, const Wait& wait) : top_(top), is_layer_(is_layer), wait_(wait) {}

  void directory(int from, int to, const std::string& path, int depth) {
    if (depth > kMaxTreeDepth)
      throw Error(Code::kResourceExhausted, "copy a tree: more than 200 levels deep: " + path);
    for (const std::string& name : list_dir(from)) {
      wait_.check();
      entry(from, to, name, joined(path, name), depth);
    }
    struct stat facts {};
    if (::fstat(from, &facts) < 0) throw sys_error("stat a directory");
    attributes(from, to, ".", facts);
  }

 private:
  using Inode = std::pair<dev_t, ino_t>;

  void entry(int from, int to, const std::string& name, const std::string& path, int depth) {
    struct stat facts = facts_at(from, name);
    if (S_ISDIR(facts.st_mode)) {
      UniqueFd source = open_dir_at(from, name);
      UniqueFd target = make_dir_at(to, name, 0700);
      return directory(source.get(), target.get(), path, depth + 1);
    }
    if (facts.st_nlink > 1 && link_known(to, name, path, facts)) return;
    make(from, to, name, facts);
    attributes(from, to, name, facts);
  }

  // True: it is another name of what was copied already.
  bool link_known(int to, const std::string& name, const std::string& path,
                  const struct stat& facts) {
    auto [known, is_new] = links_.emplace(Inode{facts.st_dev, facts.st_ino}, path);
    if (is_new) return false;
    std::size_t slash = known->second.rfind('/');
    UniqueFd above = slash == std::string::npos ? open_dir_at(top_, ".")
                                                : open_dir_at(top_, known->second.substr(0, slash));
    std::string leaf = slash == std::string::npos ? known->second : known->second.substr(slash + 1);
    if (::linkat(above.get(), leaf.c_str(), to, name.c_str(), 0) < 0)
      throw sys_error("link " + path + " to " + known->second);
    return true;
  }

  void make(int from, int to, const std::string& name, const struct stat& facts) {
    if (S_ISREG(facts.st_mode)) {
      UniqueFd source = open_regular_at(from, name);
      UniqueFd target = open_at(to, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
      return copy_file(source.get(), target.get(), wait_);
    }
    int result = S_ISLNK(facts.st_mode)
                     ? ::symlinkat(read_link_at(from, name).c_str(), to, name.c_str())
                     : ::mknodat(to, name.c_str(), (facts.st_mode & S_IFMT) | 0600, facts.st_rdev);
    if (result < 0) throw sys_error("make " + fd_path(to, name));
  }

  // In this order: a new owner clears set-user-ID bits and capabilities, and writing changes times.
  void attributes(int from, int to, const std::string& name, const struct stat& facts) const {
    constexpr int kNoFollow = AT_SYMLINK_NOFOLLOW;
    std::string path = fd_path(to, name);
    if (::fchownat(to, name.c_str(), facts.st_uid, facts.st_gid, kNoFollow) < 0)
      throw sys_error("chown " + path);
    if (!S_ISLNK(facts.st_mode) && ::fchmodat(to, name.c_str(), facts.st_mode & 07777, 0) < 0)
      throw sys_error("chmod " + path);
    copy_xattrs(fd_path(from, name), path, is_layer_);
    const timespec times[] = {facts.st_atim, facts.st_mtim};
    if (::utimensat(to, name.c_str(), times, kNoFollow) < 0)
      throw sys_error("set times of " + path);
  }

  const int top_;
  const bool is_layer_;
  const Wait& wait_;
  std::map<Inode, std::string> links_;
};

}  // namespace

void copy_tree(int from, int to, const Wait& wait) {
  Copier(to, false, wait).directory(from, to, "", 0);
}

void copy_layer(int from, int to, const Wait& wait) {
  Copier(to, true, wait).directory(from, to, "", 0);
}

}  // namespace ctrd::snapshot
