// SPDX-License-Identifier: Apache-2.0
// Ending a shim that shall not be waited for: an interrupted call must be over in 0.2 s, whatever
// its runtime is doing.
#pragma once

#include "base/process.h"
#include "base/time.h"
#include "engine/core.h"

namespace ctrd::engine {

// SIGTERM, on which a shim ends its task; if it has not gone after `patience`, kill_shim(). True:
// it has gone.
bool end_shim_within(const ProcessKey& shim, Nanos patience);
// After an interruption: this task, and whatever its shim is doing, is over in a tenth of a second.
// Its bundle stays, as that of an ended task. Its exit is lost unless the shim was that fast.
void end_at_once(Core& core, const TaskRef& ref);
// SIGKILL to it and to what it has started: a runtime that hangs and the container's init would
// outlive it.
void kill_shim(const ProcessKey& shim);

}  // namespace ctrd::engine
