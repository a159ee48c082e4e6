// SPDX-License-Identifier: Apache-2.0
// Facts about processes on this host, from /proc. A pid alone means nothing: with its start time
// and the boot id it does.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.h"

namespace ctrd {

// Start time in clock ticks since boot (field 22 of stat). nullopt: gone, or a zombie if
// alive_only.
std::optional<uint64_t> start_time(pid_t pid, bool alive_only = true);
std::optional<char> process_state(pid_t pid);  // 'R', 'S', 'T', 'Z' ... of proc(5); nullopt: gone
std::optional<pid_t> tracer_of(pid_t pid);     // whoever ptrace(2)s it
const std::string& boot_id();                  // /proc/sys/kernel/random/boot_id, read once

struct ProcessKey {  // names one process for ever
  pid_t pid = 0;
  uint64_t start = 0;
  std::string boot;
  bool operator==(const ProcessKey&) const = default;
};
ProcessKey this_process();
bool is_alive(const ProcessKey& key);  // same boot, same start time, no zombie
std::optional<UniqueFd> open_pidfd(
    const ProcessKey& key);  // nullopt: gone; checked after opening, so never another's

bool signal_process(const ProcessKey& key, int signal);  // by pidfd; false: gone

struct ProcessFacts {
  pid_t pid = 0, ppid = 0;
  std::vector<std::string> args;
  uint32_t uid = 0;
  int64_t rss_bytes = 0;
  double cpu_seconds = 0;
};
std::optional<ProcessFacts> process_facts(pid_t pid);

std::string random_hex(std::size_t bytes);  // getrandom(2)

}  // namespace ctrd
