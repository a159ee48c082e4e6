// SPDX-License-Identifier: Apache-2.0
#include "shim/task_side.h"

#include <algorithm>

namespace ctrd::shim {

// Each goes with its counter, on v1.
void TaskSide::remove_left_cgroups() {
  if (left_cgroups.empty()) return;
  uint64_t before = count_oom_kills();
  left_cgroups.remove_if([](ExecCgroup& cgroup) { return cgroup.remove(); });
  oom_kills_gone += before - std::min(before, count_oom_kills());
}

}  // namespace ctrd::shim
