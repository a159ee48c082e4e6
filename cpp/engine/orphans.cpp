// SPDX-License-Identifier: Apache-2.0
#include "engine/orphans.h"

#include <poll.h>
#include <signal.h>

#include <algorithm>
#include <charconv>

#include "api/bundle.h"
#include "api/checkpoint.h"
#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/pidfd.h"
#include "base/process.h"
#include "base/unique_fd.h"
#include "engine/core.h"

namespace ctrd::engine {
namespace {

constexpr int kRounds = 8;  // one that was being started while we looked

std::vector<pid_t> all_pids() {
  std::vector<pid_t> pids;
  for (const auto& name : list_dir(open_dir("/proc").get())) {
    pid_t pid = 0;
    auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (error == std::errc() && end == name.data() + name.size()) pids.push_back(pid);
  }
  return pids;
}

std::string option(const std::vector<std::string>& args, const char* name) {
  auto at = std::find(args.begin(), args.end(), name);
  return at == args.end() || at + 1 == args.end() ? "" : at[1];
}

// It works in the folder that it is given, and names neither its runtime nor the container.
bool is_criu(pid_t pid, const std::string& bundle) {
  try {
    return real_path("/proc/" + std::to_string(pid) + "/cwd") == bundle + "/" + api::kCriuDir;
  } catch (const Error&) {
    return false;  // it has gone, or its folder
  }
}

// A runtime: its command line has "--root <bundle>/rt", as the shim gives it (other shims add the
// namespace). Or a shim that is not ours, or its `start`: "-address <bundle>".
bool works_on(pid_t pid, const std::string& bundle) {
  auto facts = process_facts(pid);
  if (!facts) return false;
  std::string root = bundle + "/" + api::kRuntimeDir, given = option(facts->args, "--root");
  return given == root || given.starts_with(root + "/") ||
         option(facts->args, "-address") == bundle || is_criu(pid, bundle);
}

void kill_and_wait(pid_t pid, const std::string& bundle) {
  UniqueFd pidfd(raw_pidfd_open(pid));
  if (!pidfd || !works_on(pid, bundle)) return;  // looked at again: now it cannot be another
  raw_pidfd_send_signal(pidfd.get(), SIGKILL);
  pollfd entry{pidfd.get(), POLLIN, 0};
  if (poll_until({&entry, 1}, cleanup_wait(std::chrono::seconds(5))) == 0)
    log(Level::kWarning, "the runtime " + std::to_string(pid) + " does not end");
}

}  // namespace

void kill_runtime(const std::string& bundle) {
  bool again = true;
  for (int round = 0; again && round < kRounds; ++round) {
    again = false;
    for (pid_t pid : all_pids()) {
      if (!works_on(pid, bundle)) continue;
      kill_and_wait(pid, bundle);
      again = true;
    }
  }
}

}  // namespace ctrd::engine
