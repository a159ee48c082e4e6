// SPDX-License-Identifier: Apache-2.0
// What a task uses, as containerd's cgroup metrics: from the files of its cgroup. Source:
// shim-protocol.md 4.3; kernel admin-guide/cgroup-v1 and cgroup-v2.
#pragma once

#include <vector>

#include "api/task.h"
#include "base/unique_fd.h"

namespace ctrd::shim {

// dirs: the cgroup's directory in each hierarchy. v2's message if all of them are of v2. What the
// kernel has no file for is 0.
api::Any cgroup_metrics(const std::vector<UniqueFd>& dirs);

}  // namespace ctrd::shim
