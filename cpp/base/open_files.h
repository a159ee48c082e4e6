// SPDX-License-Identifier: Apache-2.0
// What a process has open, from /proc/<pid>/fd and fdinfo. Looks only: nothing is opened itself.
// Source: proc(5).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace ctrd {

struct OpenFile {
  int fd = -1;
  std::string
      link;  // "/a/b", "/a/b (deleted)", "socket:[17]", "pipe:[17]", "anon_inode:[eventpoll]"
  mode_t mode = 0;   // with the type
  dev_t device = 0;  // of what is a device itself
  uint64_t inode = 0;
  uint64_t mount_id = 0;   // as in /proc/<pid>/mountinfo, or one that is the kernel's own
  bool is_locked = false;  // by flock, fcntl or a lease
};
// In order of the descriptors. None: it has gone. What it closes meanwhile may be missing.
std::vector<OpenFile> open_files(pid_t pid);
// Of its mount namespace.
std::set<uint64_t> mount_ids(pid_t pid);

}  // namespace ctrd
