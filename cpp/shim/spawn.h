// SPDX-License-Identifier: Apache-2.0
// Starts a runtime or another program; the only file with Boost.Process. The child gets the
// descriptors that it is given and nothing else, default signal dispositions (all 64: glibc's own
// 32 and 33 too, which a parent may have left ignored), an empty mask, a process group of its own,
// the shim's own limit of descriptors as it was at first, and a signal when the shim dies.
#pragma once

#include <sys/types.h>

#include <array>
#include <csignal>
#include <string>
#include <vector>

namespace ctrd::shim {

struct Spawned {
  pid_t pid = -1;
  int launch_errno = 0;  // why there is no child; 0: there is one
};

struct Program {
  std::vector<std::string> argv;  // argv[0] is an absolute path
  std::vector<int> fds;           // what it has as 0, 1, 2 and on; each above all of these
  std::vector<std::string> env;   // exactly this
  int death_signal = SIGKILL;
};

// The child is the caller's to reap (Reaper::expect it at once).
Spawned spawn(const Program& program);
// A runtime: its environment is PATH and `env`, and it dies with the shim.
Spawned spawn(const std::vector<std::string>& argv, const std::array<int, 3>& stdio,
              const std::vector<std::string>& env = {});

}  // namespace ctrd::shim
