// SPDX-License-Identifier: Apache-2.0
// The action serve: the supervisor of one task, started by our engine under the spawn contract
// (design.md 5; api/bundle.h has the descriptors' numbers), or with -containerd by our own `start`
// (start.h) under the same: then it outlives the task until Shutdown, tells its events to
// containerd, and its mounts are containerd's. One thread, one loop.
#pragma once

#include "shim/arguments.h"

namespace ctrd::shim {

// Returns only if it could not begin (throws Error); else the process ends with status 0.
[[noreturn]] void serve(const Arguments& arguments);

}  // namespace ctrd::shim
