// SPDX-License-Identifier: Apache-2.0
// Start, and what can be said of a task from its files.
#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "engine/criu_logs.h"
#include "engine/kill_shim.h"
#include "engine/restored_layer.h"
#include "engine/rpc.h"
#include "engine/verbs.h"
#include "oci/spec.h"

namespace ctrd::engine {
void start_task(Core& core, const TaskRef& ref, const Wait& wait) {
  Task task = get_live_task(core, ref, wait);
  api::StartRequest request{ref.id, ""};
  bool restores = task.status.pid == 0;
  Wait limit = wait.within(restores ? core.config.checkpoint_timeout : core.config.rpc_timeout);
  try {
    if (!ask<api::StartResponse>(core, task, "Start", request, limit)) throw task_has_ended(ref.id);
  } catch (const Error& error) {
    throw with_kept_log(core, task, error);
  } catch (...) {  // interrupted: nobody can tell whether it runs, so it does not
    end_at_once(core, ref);
    throw;
  }
  if (restores) remove_restored_layer(core, task.status.instance);  // what it has replaced
}

void limit_task(Core& core, const TaskRef& ref, Nanos timeout, const Wait& wait) {
  Task task = get_live_task(core, ref, wait);
  std::string request =
      api::encode(api::LimitRequest{ref.id, "", std::max<int64_t>(timeout.count(), 1)});
  Wait limit = wait.within(core.config.rpc_timeout);
  if (!ask_bytes(core, task, api::kShimV1, "Limit", std::move(request), limit))
    throw task_has_ended(ref.id);
}

TaskState task_state(Core& core, const TaskRef& ref, const Wait& wait) {
  auto [task, exit] = get_task_or_exit(core, ref, wait);
  TaskState state;
  state.status = task ? task_status(*task) : TaskStatus::kStopped;
  state.pid = task ? live_pid(*task) : 0;
  state.exit = exit;
  if (task)
    if (auto config = find_file_at(task->dir.get(), api::kConfigFile, kMaxConfig))
      state.tty = oci::spec_facts(*config).terminal;
  return state;
}

TaskInfo task_info(Core& core, const TaskRef& ref, const Wait& wait) {
  Task task = get_task(core, ref, wait);
  metadata::Full full = core.containers.get_full(ref.ns, ref.id, wait);
  return {ref.id, task.status.instance, runtime_of(full.record), full.spec};
}

std::optional<ExitStatus> poll_task(Core& core, const TaskRef& ref, const Wait& wait) {
  auto [task, exit] = get_task_or_exit(core, ref, wait);
  if (task && exit) sweep_expired_quietly(core, *task, wait.at_once());
  return exit;
}

}  // namespace ctrd::engine
