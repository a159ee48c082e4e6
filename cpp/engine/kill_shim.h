// SPDX-License-Identifier: Apache-2.0
// Ending a shim that shall not be waited for: an interrupted call must be over in 0.2 s, whatever
// its runtime is doing.
#pragma once

#include "base/process.h"
#include "engine/core.h"

namespace ctrd::engine {

// SIGTERM, on which a shim ends its task; if it has not gone in a moment, kill_shim(). A child of
// ours is reaped.
void end_shim_soon(const ProcessKey& shim);
// After an interruption: this task, and whatever its shim is doing, is over in a tenth of a second.
// Its bundle stays, as that of an ended task. Its exit is lost unless the shim was that fast.
void end_at_once(Core& core, const TaskRef& ref);
// SIGKILL to it and to what it has started: a runtime that hangs and the container's init would
// outlive it.
void kill_shim(const ProcessKey& shim);

}  // namespace ctrd::engine
