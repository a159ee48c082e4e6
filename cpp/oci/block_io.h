// SPDX-License-Identifier: Apache-2.0
// linux.resources.blockIO: limits and weights of block devices, by number there, by path or number
// for callers. Source: runtime-spec config-linux.md, Block IO; kernel cgroup-v1/blkio-controller,
// cgroup-v2 "IO".
#pragma once

#include <vector>

#include "oci/json.h"
#include "oci/options.h"

namespace ctrd::oci {

// Changes blockIO: devices and limits that are not named stay. Throws invalid("io", ...): no block
// device, a partition, a limit below 1, nothing to set; kNotFound (kPath) for a path that is not
// there.
void apply_io(Json& block_io, const std::vector<IoOptions>& options);

}  // namespace ctrd::oci
