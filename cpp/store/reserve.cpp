// SPDX-License-Identifier: Apache-2.0
#include "store/reserve.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>

namespace ctrd::store {
namespace {

// What opening a database without its log makes: table, log, manifest, CURRENT's new self; and as
// many again.
constexpr int kMore = 7;
constexpr auto kLookEvery = std::chrono::milliseconds(200);

std::string numbered(const std::string& name, int n) { return name + "." + std::to_string(n); }

bool unlinked(int dir, const std::string& name) { return ::unlinkat(dir, name.c_str(), 0) == 0; }

UniqueFd make_file(int dir, const std::string& name) {
  int flags = O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC;
  return UniqueFd(::openat(dir, name.c_str(), flags, 0600));
}

}  // namespace

bool is_full(const Error& error) {
  return error.sys_errno() == ENOSPC || error.sys_errno() == EDQUOT;
}

bool Reserve::release() {
  std::lock_guard lock(mutex_);
  next_look_ = Clock::now() + kLookEvery;
  bool any = unlinked(dir_.get(), name_);
  for (int n = 1; n <= kMore; ++n) any |= unlinked(dir_.get(), numbered(name_, n));
  return any;
}

void Reserve::keep() {
  std::lock_guard lock(mutex_);
  if (Clock::now() < next_look_) return;
  next_look_ = Clock::now() + kLookEvery;
  if (!complete() && has_room()) make();
}

bool Reserve::complete() const {
  struct stat facts {};
  auto there = [&](const std::string& name) {
    return ::fstatat(dir_.get(), name.c_str(), &facts, AT_SYMLINK_NOFOLLOW) == 0;
  };
  // It is made in this order, so the last one says enough of the others.
  return there(numbered(name_, kMore)) && there(name_) &&
         static_cast<uint64_t>(facts.st_blocks) * 512 >= size_;
}

bool Reserve::has_room() const {
  struct statvfs facts {};
  if (::fstatvfs(dir_.get(), &facts) < 0) return false;
  bool inodes = facts.f_files == 0 || facts.f_favail > 2 * kMore;
  return inodes && uint64_t{facts.f_bavail} * facts.f_frsize >= 2 * size_;
}

void Reserve::make() {
  UniqueFd file = make_file(dir_.get(), name_);
  bool made = file && ::posix_fallocate(file.get(), 0, static_cast<off_t>(size_)) == 0;
  for (int n = 1; made && n <= kMore; ++n)
    made = static_cast<bool>(make_file(dir_.get(), numbered(name_, n)));
  if (made) return;
  unlinked(dir_.get(), name_);  // half of it helps nobody, and takes what others need
  for (int n = 1; n <= kMore; ++n) unlinked(dir_.get(), numbered(name_, n));
}

}  // namespace ctrd::store
