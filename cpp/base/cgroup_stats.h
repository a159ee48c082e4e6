// SPDX-License-Identifier: Apache-2.0
// What a cgroup's files say of cpu, memory, processes and block devices: one shape for v1 and v2.
// What the kernel has no file for is nullopt. Source: kernel admin-guide/cgroup-v2 and
// cgroup-v1/{memory,cpuacct,blkio-controller,pids}.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.h"

namespace ctrd {

struct CgroupStats {
  struct Cpu {  // seconds since the cgroup was made
    std::optional<double> usage, user, system;
    std::optional<double> throttled;  // wanted to run, and had used up its quota
  };
  struct Memory {                  // bytes
    std::optional<int64_t> usage;  // with cache
    std::optional<int64_t> limit;  // nullopt: none, too
    std::optional<int64_t> peak;   // of usage
    std::optional<int64_t> cache, swap;
    std::optional<int64_t> oom_kills;  // as read_oom_kills
  };
  struct Pids {                             // processes and threads
    std::optional<int64_t> current, limit;  // limit nullopt: none, too
  };
  // All block devices together. v1 knows reads and direct writes only: what goes through the page
  // cache is written by the kernel in no cgroup's name.
  struct Io {
    std::optional<int64_t> read_bytes, write_bytes, reads, writes;
  };
  int64_t time_ns = 0;  // since 1970
  Cpu cpu;
  Memory memory;
  Pids pids;
  Io io;
  std::map<std::string, std::string> raw;  // file -> its text, as read
};

// dirs: the cgroup's directory in each hierarchy. One that goes meanwhile has no files.
CgroupStats read_cgroup_stats(const std::vector<UniqueFd>& dirs);
// How many processes the kernel has killed for want of memory, in this cgroup and those below that
// are still there. nullopt: none of these directories counts them.
std::optional<int64_t> read_oom_kills(const std::vector<UniqueFd>& dirs);

}  // namespace ctrd
