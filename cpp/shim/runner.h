// SPDX-License-Identifier: Apache-2.0
// Executes runtime verbs (oci/verbs.h) as a coroutine: spawns, waits through the reaper, kills at
// the deadline, and hands back what the runtime logged. One verb at a time: the task's lock sees to
// that.
#pragma once

#include <array>

#include "base/unique_fd.h"
#include "oci/verbs.h"
#include "shim/reaper.h"

namespace ctrd::shim {

class Runner {
 public:
  Runner(Reaper& reaper, std::string log_path);

  // Starts one; what it returned is for outcome(). stdio: the child's 0, 1 and 2, -1 is /dev/null;
  // ours to close at once.
  struct Running {
    pid_t pid = -1;
    int launch_errno = 0;
    TimePoint deadline = kForever;
  };
  Running launch(const oci::Command& command, std::array<int, 3> stdio = {-1, -1, -1});
  // Must be awaited for every launch.
  asio::awaitable<oci::Outcome> outcome(Running running);
  // Both, with /dev/null for stdio.
  asio::awaitable<oci::Outcome> run(oci::Command command);
  // Kills the one that runs now, and its children.
  void abort();

 private:
  std::string tail_of_log() const;

  Reaper& reaper_;
  std::string log_path_;
  UniqueFd null_;
  pid_t running_ = -1;
};

}  // namespace ctrd::shim
