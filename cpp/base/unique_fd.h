// SPDX-License-Identifier: Apache-2.0
// One owner for one file descriptor. Everything that opens returns one of these.
#pragma once

#include <unistd.h>

#include <utility>

namespace ctrd {

class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    reset(other.release());
    return *this;
  }
  ~UniqueFd() { reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  void reset(int fd = -1) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }
  UniqueFd dup() const;  // F_DUPFD_CLOEXEC; throws sys_error

 private:
  int fd_ = -1;
};

}  // namespace ctrd
