// SPDX-License-Identifier: Apache-2.0
#include "engine/orphans.h"

#include <poll.h>
#include <signal.h>

#include <algorithm>
#include <charconv>

#include "api/bundle.h"
#include "base/files.h"
#include "base/log.h"
#include "base/pidfd.h"
#include "base/process.h"
#include "base/unique_fd.h"
#include "engine/core.h"

namespace ctrd::engine {
namespace {

std::vector<pid_t> all_pids() {
  std::vector<pid_t> pids;
  for (const auto& name : list_dir(open_dir("/proc").get())) {
    pid_t pid = 0;
    auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (error == std::errc() && end == name.data() + name.size()) pids.push_back(pid);
  }
  return pids;
}

// Its command line has "--root <bundle>/rt", as the shim gives it.
bool works_on(pid_t pid, const std::string& root) {
  auto facts = process_facts(pid);
  if (!facts) return false;
  auto option = std::find(facts->args.begin(), facts->args.end(), "--root");
  return option != facts->args.end() && option + 1 != facts->args.end() && option[1] == root;
}

void kill_and_wait(pid_t pid, const std::string& root) {
  UniqueFd pidfd(raw_pidfd_open(pid));
  if (!pidfd || !works_on(pid, root)) return;  // looked at again: now it cannot be another
  raw_pidfd_send_signal(pidfd.get(), SIGKILL);
  pollfd entry{pidfd.get(), POLLIN, 0};
  if (poll_until({&entry, 1}, cleanup_wait(std::chrono::seconds(5))) == 0)
    log(Level::kWarning, "the runtime " + std::to_string(pid) + " does not end");
}

}  // namespace

void kill_runtime(const std::string& bundle) {
  std::string root = bundle + "/" + api::kRuntimeDir;
  for (pid_t pid : all_pids())
    if (works_on(pid, root)) kill_and_wait(pid, root);
}

}  // namespace ctrd::engine
