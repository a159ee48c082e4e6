// SPDX-License-Identifier: Apache-2.0
// Executes runtime verbs (oci/verbs.h) as coroutines: spawns, waits through the reaper, kills at
// the deadline, and hands back what the runtime logged. Several may run at once, each with a log
// file of its own; which may is the task's business.
#pragma once

#include <array>
#include <set>

#include "base/unique_fd.h"
#include "oci/verbs.h"
#include "shim/reaper.h"

namespace ctrd::shim {

class Runner {
 public:
  explicit Runner(Reaper& reaper);

  // Starts one; what it returned is for outcome(). stdio: the child's 0, 1 and 2, -1 is /dev/null;
  // ours to close at once. The command's input, if it has one, is what 0 reads.
  struct Running {
    pid_t pid = -1;
    int launch_errno = 0;
    TimePoint deadline = kForever;
    std::string log = {};
  };
  Running launch(const oci::Command& command, std::array<int, 3> stdio = {-1, -1, -1});
  // Must be awaited for every launch.
  asio::awaitable<oci::Outcome> outcome(Running running);
  // Both, with nothing of a container's for stdio: what it says on its standard error is in the
  // outcome if it fails, the first 64 KiB of it.
  asio::awaitable<oci::Outcome> run(oci::Command command);
  // Kills those that run now, and their children.
  void abort();
  // Waits until none runs, at most until the deadline. False: some still do.
  asio::awaitable<bool> idle(TimePoint deadline);

 private:
  Reaper& reaper_;
  UniqueFd null_;
  std::set<pid_t> running_;
  Event ended_;
};

}  // namespace ctrd::shim
