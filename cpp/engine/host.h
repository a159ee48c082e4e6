// SPDX-License-Identifier: Apache-2.0
// Facts about this machine, found out by trying and remembered in <state>/.probe: does this runtime
// work, does overlay? An answer holds for the same files, boot and cgroup mounts. Source:
// design.md 8.
#pragma once

#include <string>

#include "engine/core.h"
#include "oci/probe.h"

namespace ctrd::engine {

bool is_cgroup_v2();  // only v2: no v1 controller is mounted

// fresh: a remembered "no" is not believed.
oci::Probe probed_runtime(Core& core, const std::string& name, const Wait& wait,
                          bool fresh = false);
oci::Probe probed_overlay(Core& core, const Wait& wait, bool fresh = false);
// Throws kNotFound (kPath) naming the shim's program if it is not there.
void need_shim(const Core& core);
// Throws kUnimplemented with the reason.
void need_overlay(Core& core, const Wait& wait);
// "auto": the first of crun, runc that works here; a name or a path: its absolute path, which must
// be there (kNotFound, kRuntime).
std::string resolve_runtime(Core& core, const std::string& wanted, const Wait& wait);

}  // namespace ctrd::engine
