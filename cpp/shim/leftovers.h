// SPDX-License-Identifier: Apache-2.0
// All processes of a task, found by its cgroup and by being children of this shim (a subreaper:
// what a runtime that died half-way had made ends up here), and how many of them the kernel killed
// for want of memory.
#pragma once

#include <set>
#include <string>

#include "shim/event.h"

namespace ctrd::shim {

// Sends a signal once to each process of the cgroup. Returns how many there were. Never throws, as
// nothing here does: a task must come to its end whatever the host's cgroups are like.
std::size_t signal_cgroup(const std::string& cgroups_path, int signal);
// SIGKILLs the cgroup's processes and our children until none is left. False: some are still there
// after `bound`. Nothing may be running that should live: no runtime of ours.
// spared: process groups of ours that are no part of the task.
asio::awaitable<bool> kill_leftovers(const std::string& cgroups_path, Nanos bound,
                                     const std::set<pid_t>& spared);
// Removes the (empty) cgroup from every hierarchy.
void remove_cgroup(const std::string& cgroups_path);
// The kernel's counters of out-of-memory kills in this cgroup and those below; 0 if there is none.
uint64_t oom_kills(const std::string& cgroups_path);

}  // namespace ctrd::shim
