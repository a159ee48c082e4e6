// SPDX-License-Identifier: Apache-2.0
#include "shim/leftovers.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <optional>
#include <sstream>

#include "base/cgroup.h"
#include "base/cgroup_stats.h"
#include "base/error.h"
#include "base/files.h"
#include "base/log.h"

namespace ctrd::shim {
namespace {

constexpr Nanos kRoundEvery = std::chrono::milliseconds(2);
constexpr Nanos kRemoveLimit = std::chrono::seconds(2);

std::vector<pid_t> numbers(std::string_view text) {
  std::vector<pid_t> found;
  const char* end = text.data() + text.size();
  for (const char* at = text.data(); at < end;) {
    pid_t pid = 0;
    auto [next, error] = std::from_chars(at, end, pid);
    if (error == std::errc() && pid > 0) found.push_back(pid);
    at = next == at ? at + 1 : next;
  }
  return found;
}

std::optional<std::string> find_text(const std::string& dir, const std::string& name) {
  try {
    return find_file_at(open_dir(dir).get(), name);
  } catch (const Error&) {
    return std::nullopt;  // the cgroup goes while we look
  }
}

std::vector<pid_t> children() {
  std::string self = std::to_string(::getpid());
  return numbers(find_text("/proc/self/task/" + self, "children").value_or(""));
}

std::vector<std::string> dirs_of(const std::string& cgroups_path) {
  if (cgroups_path.empty()) return {};
  try {
    return cgroup_dirs(cgroups_path);
  } catch (const Error& error) {
    log(Level::kWarning, error.message());
    return {};
  }
}

// True if there was anything to kill.
bool kill_round(const std::string& cgroups_path, const std::set<pid_t>& spared) {
  bool any = signal_cgroup(cgroups_path, SIGKILL) > 0;
  std::vector<pid_t> ours = children();  // their numbers are theirs until we reap them
  std::erase_if(ours, [&](pid_t pid) { return spared.contains(::getpgid(pid)); });
  for (pid_t pid : ours) ::kill(pid, SIGKILL);
  return any || !ours.empty();
}

}  // namespace

std::size_t signal_cgroup(const std::string& cgroups_path, int signal) {
  if (cgroups_path.empty()) return 0;
  try {
    return signal_members(cgroups_path, signal);
  } catch (const Error& error) {
    log(Level::kWarning, error.message());
    return 0;
  }
}

asio::awaitable<bool> kill_leftovers(const std::string& cgroups_path, Nanos bound,
                                     const std::set<pid_t>& spared) {
  TimePoint deadline = after(bound);
  bool any = kill_round(cgroups_path, spared);
  while (any && Clock::now() < deadline) {
    co_await pause_for(kRoundEvery);
    any = kill_round(cgroups_path, spared);
  }
  co_return !any;
}

void remove_cgroup(const std::string& cgroups_path) {
  if (dirs_of(cgroups_path).empty()) return;  // as the runtime leaves it
  try {
    kill_cgroup(cgroups_path, Wait{.deadline = after(kRemoveLimit), .interrupted = {}});
  } catch (const Error& error) {
    log(Level::kWarning, error.message());
  }
}

uint64_t oom_kills(const std::string& cgroups_path) {
  if (cgroups_path.empty()) return 0;
  try {
    return static_cast<uint64_t>(read_oom_kills(open_cgroup(cgroups_path)).value_or(0));
  } catch (const Error& error) {
    log(Level::kWarning, error.message());
    return 0;
  }
}

}  // namespace ctrd::shim
