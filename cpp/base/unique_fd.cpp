// SPDX-License-Identifier: Apache-2.0
#include "base/unique_fd.h"

#include <fcntl.h>

#include <string>

#include "base/error.h"

namespace ctrd {

UniqueFd UniqueFd::dup() const {
  int copy = ::fcntl(fd_, F_DUPFD_CLOEXEC, 0);
  if (copy < 0) throw sys_error("duplicate descriptor " + std::to_string(fd_));
  return UniqueFd(copy);
}

}  // namespace ctrd
