// SPDX-License-Identifier: Apache-2.0
#include "engine/dir_lock.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <utility>

#include "base/files.h"

namespace ctrd::engine {

LockFd open_lockable(int parent, const std::string& name) {
  return LockFd::open([&] {
    auto dir = find_dir_at(parent, name);
    return dir ? std::move(*dir) : UniqueFd();
  });
}

bool is_named(int parent, const std::string& name, int dir) {
  struct stat there, here;
  if (::fstatat(parent, name.c_str(), &there, AT_SYMLINK_NOFOLLOW) < 0 || ::fstat(dir, &here) < 0)
    return false;
  return there.st_dev == here.st_dev && there.st_ino == here.st_ino;
}

}  // namespace ctrd::engine
