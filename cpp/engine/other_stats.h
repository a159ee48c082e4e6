// SPDX-License-Identifier: Apache-2.0
// What a shim that is not ours says of what its task uses: containerd's metrics (api/metrics.h), in
// the shape that the files of a cgroup have with us. For tasks whose cgroup we do not see.
#pragma once

#include <string>

#include "api/task.h"
#include "base/cgroup_stats.h"

namespace ctrd::engine {

// The Any of its StatsResponse; raw stays empty. Throws kUnimplemented for another message than
// cgroup v1's or v2's metrics, kInvalidArgument for one that cannot be read.
CgroupStats stats_of(const std::string& shim, const api::Any& metrics);

}  // namespace ctrd::engine
