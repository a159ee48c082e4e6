// SPDX-License-Identifier: Apache-2.0
// The pidfd calls, raw: -1 and errno. glibc 2.36 has them, but its header forgets that C++ mangles
// names.
#pragma once

#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

namespace ctrd {

inline int raw_pidfd_open(pid_t pid) { return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)); }

inline int raw_pidfd_send_signal(int pidfd, int signal) {
  return static_cast<int>(::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0));
}

}  // namespace ctrd
