// SPDX-License-Identifier: Apache-2.0
// Freezing and thawing a task: each one call to its shim.
#include "base/error.h"
#include "engine/rpc.h"
#include "engine/verbs.h"

namespace ctrd::engine {
namespace {

template <typename Ask>
void ask_live(Core& core, const TaskRef& ref, std::string_view method, const Ask& request,
              const Wait& wait) {
  Task task = get_live_task(core, ref, wait);
  Wait limit = wait.within(core.config.rpc_timeout);
  if (!ask<api::Empty>(core, task, method, request, limit)) throw task_has_ended(ref.id);
}

}  // namespace

void pause_task(Core& core, const TaskRef& ref, const Wait& wait) {
  ask_live(core, ref, "Pause", api::PauseRequest{ref.id}, wait);
}

void resume_task(Core& core, const TaskRef& ref, const Wait& wait) {
  ask_live(core, ref, "Resume", api::ResumeRequest{ref.id}, wait);
}

}  // namespace ctrd::engine
