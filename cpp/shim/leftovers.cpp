// SPDX-License-Identifier: Apache-2.0
#include "shim/leftovers.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <optional>
#include <sstream>

#include "base/cgroup.h"
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

// Never throws: a task must come to its end whatever the host's cgroups are like.
std::size_t signal_all(const std::string& cgroups_path, int signal) {
  if (cgroups_path.empty()) return 0;
  try {
    return signal_members(cgroups_path, signal);
  } catch (const Error& error) {
    log(Level::kWarning, error.message());
    return 0;
  }
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
bool kill_round(const std::string& cgroups_path) {
  bool any = signal_all(cgroups_path, SIGKILL) > 0;
  std::vector<pid_t> ours = children();  // their numbers are theirs until we reap them
  for (pid_t pid : ours) ::kill(pid, SIGKILL);
  return any || !ours.empty();
}

// The number behind a word at the start of a line: "oom_kill 3".
uint64_t counter(std::string_view text, std::string_view word) {
  std::size_t at = text.starts_with(word) ? 0 : text.find("\n" + std::string(word));
  if (at == std::string_view::npos) return 0;
  std::vector<pid_t> found = numbers(text.substr(at));
  return found.empty() ? 0 : static_cast<uint64_t>(found.front());
}

uint64_t oom_kills_v1(const std::string& dir) {
  auto text = find_text(dir, "memory.oom_control");
  return text ? counter(*text, "oom_kill ") : 0;
}

// v2 counts what is below too, v1 does not.
uint64_t oom_kills_in(const std::string& dir) {
  if (auto text = find_text(dir, "memory.events")) return counter(*text, "oom_kill ");
  auto text = find_text(dir, "memory.oom_control");
  if (!text) return 0;
  uint64_t count = counter(*text, "oom_kill ");
  for (const std::string& name : list_dir(open_dir(dir).get()))
    if (name.starts_with(kExecCgroup)) count += oom_kills_v1(dir + "/" + name);
  return count;
}

}  // namespace

std::size_t signal_cgroup(const std::string& cgroups_path, int signal) {
  return signal_all(cgroups_path, signal);
}

asio::awaitable<bool> kill_leftovers(const std::string& cgroups_path, Nanos bound) {
  TimePoint deadline = after(bound);
  bool any = kill_round(cgroups_path);
  while (any && Clock::now() < deadline) {
    co_await pause_for(kRoundEvery);
    any = kill_round(cgroups_path);
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
  uint64_t most = 0;
  for (const std::string& dir : dirs_of(cgroups_path)) most = std::max(most, oom_kills_in(dir));
  return most;
}

}  // namespace ctrd::shim
