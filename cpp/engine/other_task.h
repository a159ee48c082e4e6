// SPDX-License-Identifier: Apache-2.0
// A task whose shim is not ours (its status file says so: other_shim). What our shim does beyond
// containerd's contract the engine does around its calls: the status and the exit file,
// exec/<exec id>/, events. Its claim is held by who makes it, and then by its shim as long as that
// lives (claim.cpp): such a shim holds no lock. Its exit is known once somebody looks: at a wait,
// or when a verb finds its first process gone.
#pragma once

#include <string>
#include <string_view>

#include "base/time.h"
#include "engine/task.h"

namespace ctrd::engine {

inline bool is_other(const Task& task) { return !task.status.other_shim.empty(); }

// One call to a shim, as ours understands it.
struct ShimCall {
  std::string_view service, method;
  std::string payload;
  int64_t began_ns = wall_ns();
};
// What is sent for it: for ours just that, for others Task's verb in place of one of ours. Throws
// kUnimplemented for what they lack; kFailedPrecondition for a second Start of an exec, which would
// end such a shim.
ShimCall prepared(const Task& task, const ShimCall& call);
// What ours would have answered; files and events are as ours would have left them.
std::string answered(Core& core, const Task& task, const ShimCall& call, std::string reply);
// Its error as ours would give it.
Error refused(const Task& task, const ShimCall& call, const Error& error);

// Before its bundle is given away: Create has succeeded with this pid.
void note_created(Core& core, int bundle, api::StatusFile* status, uint32_t pid,
                  api::TaskCreate event, const std::string& ns);
// It may have ended, or been started by somebody who then died: its shim is asked, briefly.
void refresh(Core& core, Task* task, const Wait& wait);
// Such a shim may answer before it has opened the input that it reads: until then a write would
// fail.
void await_reader(const Task& task, const std::string& exec, int fd);
// Its timeout has come: all of it is killed, and its exit will say so (timed_out).
void kill_late(Core& core, const Task& task, const Wait& wait);
// After its Delete; by force if it does not go by itself.
void end_other_shim(const Task& task);

}  // namespace ctrd::engine
