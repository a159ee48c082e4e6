// SPDX-License-Identifier: Apache-2.0
// What a process that died left in the root and state directories besides bundles and trash: half
// made files, and probes with their cgroup and their waiting process. Idempotent.
#pragma once

#include "engine/core.h"

namespace ctrd::engine {

void remove_leftovers(Core& core, const Wait& wait);

}  // namespace ctrd::engine
