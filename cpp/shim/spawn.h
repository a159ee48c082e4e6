// SPDX-License-Identifier: Apache-2.0
// Starts a runtime; the only file with Boost.Process. The child gets three descriptors and nothing
// else, default signal dispositions (all 64: glibc's own 32 and 33 too, which a parent may have
// left ignored), an empty mask, a process group of its own, PATH as its only environment, the
// shim's own limit of descriptors as it was at first, and dies with the shim (PDEATHSIG).
#pragma once

#include <sys/types.h>

#include <array>
#include <string>
#include <vector>

namespace ctrd::shim {

struct Spawned {
  pid_t pid = -1;
  int launch_errno = 0;  // why there is no child; 0: there is one
};

// argv[0] is an absolute path. The child is the caller's to reap (Reaper::expect it at once).
Spawned spawn(const std::vector<std::string>& argv, const std::array<int, 3>& stdio);

}  // namespace ctrd::shim
