// SPDX-License-Identifier: Apache-2.0
// The container's cgroup in every hierarchy, v1 and v2: find, list its processes, kill and remove.
// Only paths that begin with "/ctrd-", and the one that this process was given (own_cgroup), are
// ever touched: every cgroup that is not ours is left alone.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "base/time.h"
#include "base/unique_fd.h"

namespace ctrd {

// Mount points of all cgroup hierarchies (v1 controllers and v2), from mountinfo; read anew each
// time.
std::vector<std::string> cgroup_mounts();
// From now on this one counts as ours too, with what is below: containerd names its containers'
// cgroups itself. One a process. Throws invalid for the root, and for one that we are in.
void own_cgroup(const std::string& cgroups_path);
// Where a process is, as a cgroups path: in v1's memory hierarchy, or v2's. "": it has gone, or it
// is in the root.
std::string cgroup_of(pid_t pid);
// Directories of this cgroup path (as in the spec's cgroupsPath) that exist, one per hierarchy.
std::vector<std::string> cgroup_dirs(const std::string& cgroups_path);
// The same, opened.
std::vector<UniqueFd> open_cgroup(const std::string& cgroups_path);
// visit(dir) for this directory of a cgroup and all below it, parents first; not those that go
// meanwhile.
void walk_cgroup(int dir, const std::function<void(int)>& visit);
// A file of a cgroup directory; "" when there is none, or the cgroup has gone.
std::string read_control(int dir, const std::string& name);
// Host pids of all processes in it and below, each once, ascending.
std::vector<pid_t> cgroup_pids(const std::string& cgroups_path);
// Signals each process in it and below, but for ourselves, by a descriptor: never one that took a
// number meanwhile. Returns how many. Throws invalid unless the path begins with "/ctrd-".
std::size_t signal_members(const std::string& cgroups_path, int signal);
// SIGKILLs until none is left (thaws a frozen one; v2: cgroup.kill), then removes the directories.
// True: all gone at the deadline. Throws invalid unless the path begins with "/ctrd-".
bool kill_cgroup(const std::string& cgroups_path, const Wait& wait);
// Makes a cgroup below this one in every hierarchy where this one is, ready to take processes (v1's
// cpuset begins with no processors at all). Throws invalid unless it is ours; on failure nothing is
// left.
void make_child_cgroup(const std::string& cgroups_path, const std::string& name);
// SIGKILLs what is in it now, and waits for nothing. hold: frozen meanwhile, so that nothing forks
// faster than it is found. Returns how many there were. Ours only.
std::size_t kill_cgroup_once(const std::string& cgroups_path, bool hold);
// Removes its directories if no process is in them. True: they are gone. Ours only.
bool remove_empty_cgroup(const std::string& cgroups_path);
// Lets go on what is frozen, in it and below. Ours only.
void thaw_cgroup(const std::string& cgroups_path);
// True if any hierarchy's freezer says that it, and so all below, is frozen.
bool cgroup_frozen(const std::string& cgroups_path);

}  // namespace ctrd
