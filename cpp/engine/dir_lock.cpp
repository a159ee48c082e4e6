// SPDX-License-Identifier: Apache-2.0
#include "engine/dir_lock.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <utility>

#include "base/error.h"
#include "base/files.h"

namespace ctrd::engine {
namespace {

// Of an open file description: fcntl_locking(2). flock(2) cannot be asked, only tried.
struct flock use(short type) {
  struct flock whole {};
  whole.l_type = type;
  whole.l_whence = SEEK_SET;
  return whole;
}

}  // namespace

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

void start_using(int dir) {
  const struct flock one = use(F_RDLCK);
  if (::fcntl(dir, F_OFD_SETLK, &one) < 0) throw sys_error("use " + real_path(fd_path(dir)));
}

void stop_using(int dir) noexcept {
  const struct flock one = use(F_UNLCK);
  ::fcntl(dir, F_OFD_SETLK, &one);
}

bool is_in_use(int dir) {
  struct flock one = use(F_WRLCK);
  if (::fcntl(dir, F_OFD_GETLK, &one) < 0) throw sys_error("ask for " + real_path(fd_path(dir)));
  return one.l_type != F_UNLCK;
}

}  // namespace ctrd::engine
