// SPDX-License-Identifier: Apache-2.0
#include "base/cgroup.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <set>
#include <string_view>

#include "base/error.h"
#include "base/files.h"
#include "base/mountinfo.h"
#include "base/pidfd.h"

namespace ctrd {
namespace {

constexpr Nanos kPause = std::chrono::milliseconds(5);
// How long one round waits for what it has killed before it looks again for new ones.
constexpr Nanos kRound = std::chrono::milliseconds(200);
constexpr std::size_t kBatch = 256;  // descriptors of one round

void check_path(const std::string& path) {
  std::string_view rest = path;
  while (!rest.empty()) {
    std::size_t end = std::min(rest.find('/'), rest.size());
    std::string_view part = rest.substr(0, end);
    if (part == "." || part == ".." || part.find('\0') != part.npos)
      throw invalid("cgroups_path", path, "must not have \".\", \"..\" or NUL in it");
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  if (path.find_first_not_of('/') == path.npos)
    throw invalid("cgroups_path", path, "must name a cgroup below the root");
}

// "": none. What this process was given.
std::string& given_path() {
  static std::string path;
  return path;
}

bool is_at_or_below(const std::string& path, const std::string& top) {
  return path.starts_with(top) && (path.size() == top.size() || path[top.size()] == '/');
}

void check_ours(const std::string& path) {
  check_path(path);
  bool given = !given_path().empty() && is_at_or_below(path, given_path());
  if (!given && !path.starts_with("/ctrd-"))
    throw invalid("cgroups_path", path, "must begin with /ctrd-");
}

struct Membership {
  std::string controllers, path;
};

// Lines are "<number>:<controllers>:<path>". Source: cgroups(7)
std::vector<Membership> memberships(const std::string& pid) {
  std::vector<Membership> found;
  auto dir = find_dir_at(open_dir("/proc").get(), pid);
  std::string text = dir ? read_control(dir->get(), "cgroup") : "";
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = std::min(text.find('\n', at), text.size());
    std::string line = text.substr(at, end - at);
    std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second != line.npos)
      found.push_back({line.substr(first + 1, second - first - 1), line.substr(second + 1)});
    at = end + 1;
  }
  return found;
}

std::string relative(const std::string& path) { return path.substr(path.find_first_not_of('/')); }

bool is_gone(const Error& error) {
  return error.sys_errno() == ENOENT || error.sys_errno() == ENODEV;
}

// One cgroup directory; nullopt once it has been removed.
std::optional<UniqueFd> find_cgroup(int dir, const std::string& name) {
  try {
    return find_dir_at(dir, name);
  } catch (const Error& error) {
    if (is_gone(error) || error.sys_errno() == ENOTDIR) return std::nullopt;
    throw;
  }
}

// False: not there, or refused: whoever writes looks at the effect.
bool write_control(int dir, const char* name, std::string_view value) {
  UniqueFd fd(::openat(dir, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
  return fd && ::write(fd.get(), value.data(), value.size()) >= 0;
}

std::vector<std::string> child_names(int dir) {
  std::vector<std::string> names;
  struct stat facts;
  // kernfs counts subdirectories as links: without any, some twenty files need not be looked at.
  if (::fstat(dir, &facts) == 0 && facts.st_nlink == 2) return names;
  for (auto& name : list_dir(dir)) {
    if (::fstatat(dir, name.c_str(), &facts, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(facts.st_mode))
      names.push_back(std::move(name));
  }
  return names;
}

void walk_all(const std::string& path, const std::function<void(int)>& visit) {
  for (const auto& mount : cgroup_mounts()) {
    auto top = find_cgroup(open_dir(mount).get(), relative(path));
    if (top) walk_cgroup(top->get(), visit);
  }
}

void add_pids(std::string_view text, std::set<pid_t>* pids) {
  const char* at = text.data();
  const char* end = at + text.size();
  while (at < end) {
    pid_t pid = 0;
    auto [next, fault] = std::from_chars(at, end, pid);
    // 0: a process of a pid namespace that we do not see.
    if (fault == std::errc() && pid > 0) pids->insert(pid);
    at = std::find(next, end, '\n') + 1;
    if (at > end) break;
  }
}

std::set<pid_t> pids_of(const std::string& path) {
  std::set<pid_t> pids;
  walk_all(path, [&](int dir) { add_pids(read_control(dir, "cgroup.procs"), &pids); });
  return pids;
}

void set_frozen(const std::string& path, bool frozen) {
  walk_all(path, [&](int dir) {
    write_control(dir, "freezer.state", frozen ? "FROZEN" : "THAWED");
    if (!frozen) write_control(dir, "cgroup.freeze", "0");  // v2 kills frozen ones too
  });
}

void pause(const Wait& wait) { poll_until({}, wait.within(kPause)); }

// As many as a walk needs, kept free for it.
std::vector<UniqueFd> some_descriptors() {
  std::vector<UniqueFd> some(8);
  for (auto& one : some) one.reset(::open("/", O_PATH | O_CLOEXEC));
  return some;
}

// Descriptors of processes that were in the cgroup after they had been opened: none of them can be
// another one that took the number meanwhile.
// Takes from `pids` those that it has tried: as many as descriptors allow, one at least.
std::vector<UniqueFd> open_members(const std::string& path, std::set<pid_t>* pids) {
  std::vector<std::pair<pid_t, UniqueFd>> opened;
  std::vector<UniqueFd> spare = some_descriptors();
  while (!pids->empty() && opened.size() < kBatch) {
    pid_t pid = *pids->begin();
    UniqueFd fd(pid == ::getpid() ? -1 : raw_pidfd_open(pid));
    if (!fd && !opened.empty() && (errno == EMFILE || errno == ENFILE)) break;
    pids->erase(pids->begin());
    if (fd) opened.emplace_back(pid, std::move(fd));
  }
  spare.clear();
  std::set<pid_t> still = pids_of(path);
  std::vector<UniqueFd> members;
  for (auto& [pid, fd] : opened)
    if (still.contains(pid)) members.push_back(std::move(fd));
  return members;
}

void wait_for_end(std::vector<UniqueFd> members, const Wait& wait) {
  while (!members.empty()) {
    std::vector<pollfd> fds;
    fds.reserve(members.size());
    for (const auto& member : members) fds.push_back({member.get(), POLLIN, 0});
    if (poll_until(fds, wait) == 0) return;
    std::vector<UniqueFd> rest;
    for (std::size_t i = 0; i < fds.size(); ++i)
      if (!fds[i].revents) rest.push_back(std::move(members[i]));
    members = std::move(rest);
  }
}

// v1 has no way to kill all at once: what forks faster than it is listed is held by the freezer
// first.
void kill_round(const std::string& path, bool freeze, const Wait& wait) {
  if (freeze) set_frozen(path, true);
  walk_all(path, [](int dir) { write_control(dir, "cgroup.kill", "1"); });
  std::set<pid_t> pids = pids_of(path);
  std::vector<UniqueFd> members = open_members(path, &pids);
  for (const auto& member : members) raw_pidfd_send_signal(member.get(), SIGKILL);
  set_frozen(path, false);
  if (members.empty()) return pause(wait);
  wait_for_end(std::move(members), wait.within(kRound));
}

// Deepest first. False: something is left.
bool remove_cgroup(int parent, const std::string& name) {
  if (auto dir = find_cgroup(parent, name))
    for (const auto& child : child_names(dir->get())) remove_cgroup(dir->get(), child);
  return ::unlinkat(parent, name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT;
}

bool remove_all(const std::string& path) {
  bool all = true;
  for (const auto& mount : cgroup_mounts())
    all &= remove_cgroup(open_dir(mount).get(), relative(path));
  return all;
}

void copy_control(int from, int to, const char* name) {
  std::string value = read_control(from, name);
  if (!value.empty()) write_control(to, name, value);
}

void make_child(int parent, const std::string& name) {
  if (::mkdirat(parent, name.c_str(), 0755) < 0 && errno != EEXIST)
    throw sys_error("making the cgroup " + name);
  auto child = find_cgroup(parent, name);
  if (!child) throw sys_error(ENOENT, "making the cgroup " + name);
  copy_control(parent, child->get(), "cpuset.cpus");
  copy_control(parent, child->get(), "cpuset.mems");
}

bool is_frozen(int dir) {
  if (read_control(dir, "freezer.state").starts_with("FROZEN")) return true;
  return read_control(dir, "cgroup.events").find("frozen 1") != std::string::npos;
}

}  // namespace

std::vector<std::string> cgroup_mounts() {
  std::vector<std::string> targets;
  std::set<std::string> seen;
  for (auto& entry : read_mountinfo()) {
    bool wanted = entry.type == "cgroup" || entry.type == "cgroup2";
    if (wanted && seen.insert(entry.device).second) targets.push_back(std::move(entry.target));
  }
  return targets;
}

void own_cgroup(const std::string& cgroups_path) {
  check_path(cgroups_path);
  if (!cgroups_path.starts_with('/') || cgroups_path.ends_with('/'))
    throw invalid("cgroups_path", cgroups_path, "is not one from the root");
  for (const auto& [controllers, path] : memberships(std::to_string(::getpid())))
    if (is_at_or_below(path, cgroups_path))
      throw invalid("cgroups_path", cgroups_path, "we are in it ourselves");
  given_path() = cgroups_path;
}

std::string cgroup_of(pid_t pid) {
  std::string found;
  for (const auto& [controllers, path] : memberships(std::to_string(pid)))
    if (controllers == "memory" || (controllers.empty() && found.empty())) found = path;
  return found == "/" ? "" : found;
}

std::vector<std::string> cgroup_dirs(const std::string& cgroups_path) {
  check_path(cgroups_path);
  std::vector<std::string> dirs;
  for (const auto& mount : cgroup_mounts())
    if (find_cgroup(open_dir(mount).get(), relative(cgroups_path)))
      dirs.push_back(mount + "/" + relative(cgroups_path));
  return dirs;
}

std::vector<UniqueFd> open_cgroup(const std::string& cgroups_path) {
  check_path(cgroups_path);
  std::vector<UniqueFd> dirs;
  for (const auto& mount : cgroup_mounts())
    if (auto dir = find_cgroup(open_dir(mount).get(), relative(cgroups_path)))
      dirs.push_back(std::move(*dir));
  return dirs;
}

void walk_cgroup(int dir, const std::function<void(int)>& visit) {
  visit(dir);
  for (const auto& name : child_names(dir))
    if (auto child = find_cgroup(dir, name)) walk_cgroup(child->get(), visit);
}

// EOPNOTSUPP: it is a threaded cgroup.
std::string read_control(int dir, const std::string& name) {
  try {
    return find_file_at(dir, name).value_or("");
  } catch (const Error& error) {
    if (is_gone(error) || error.sys_errno() == EOPNOTSUPP) return "";
    throw;
  }
}

std::vector<pid_t> cgroup_pids(const std::string& cgroups_path) {
  check_path(cgroups_path);
  std::set<pid_t> pids = pids_of(cgroups_path);
  return {pids.begin(), pids.end()};
}

std::size_t signal_members(const std::string& cgroups_path, int signal) {
  check_ours(cgroups_path);
  std::size_t count = 0;
  std::set<pid_t> left = pids_of(cgroups_path);
  while (!left.empty())
    for (const auto& member : open_members(cgroups_path, &left))
      if (raw_pidfd_send_signal(member.get(), signal) == 0) ++count;
  return count;
}

bool kill_cgroup(const std::string& cgroups_path, const Wait& wait) {
  check_ours(cgroups_path);
  for (int round = 0;; ++round) {
    if (!pids_of(cgroups_path).empty()) {
      kill_round(cgroups_path, round > 0, wait);
    } else if (remove_all(cgroups_path)) {
      return true;
    } else {
      pause(wait);  // the kernel has not let go of the last process yet
    }
    if (wait.expired()) return remove_all(cgroups_path);
  }
}

void make_child_cgroup(const std::string& cgroups_path, const std::string& name) {
  check_ours(cgroups_path + "/" + name);
  try {
    for (const auto& mount : cgroup_mounts())
      if (auto parent = find_cgroup(open_dir(mount).get(), relative(cgroups_path)))
        make_child(parent->get(), name);
  } catch (...) {
    remove_all(cgroups_path + "/" + name);
    throw;
  }
}

std::size_t kill_cgroup_once(const std::string& cgroups_path, bool hold) {
  check_ours(cgroups_path);
  std::size_t count = pids_of(cgroups_path).size();
  if (count > 0)
    kill_round(cgroups_path, hold, Wait{.deadline = TimePoint::min(), .interrupted = {}});
  return count;
}

bool remove_empty_cgroup(const std::string& cgroups_path) {
  check_ours(cgroups_path);
  return remove_all(cgroups_path);
}

void thaw_cgroup(const std::string& cgroups_path) {
  check_ours(cgroups_path);
  set_frozen(cgroups_path, false);
}

bool cgroup_frozen(const std::string& cgroups_path) {
  check_path(cgroups_path);
  for (const auto& mount : cgroup_mounts()) {
    auto top = find_cgroup(open_dir(mount).get(), relative(cgroups_path));
    if (top && is_frozen(top->get())) return true;
  }
  return false;
}

}  // namespace ctrd
