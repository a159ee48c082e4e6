// SPDX-License-Identifier: Apache-2.0
// Waiting: the exit file if it is there, else a Wait parked in the shim. Whoever asks late still
// learns.
#include "base/error.h"
#include "engine/exits.h"
#include "engine/rpc.h"
#include "engine/task.h"
#include "engine/verbs.h"

namespace ctrd::engine {
namespace {

constexpr Nanos kShimEnds = std::chrono::seconds(2);  // with on_exit="delete", after its answer

TaskRef same(const Task& task) { return {task.ns, task.id, task.status.instance}; }

// The exit file may be gone already (task deleted by another); the answer has the essentials too.
ExitStatus exit_of(const Core& core, const Task& task, const api::WaitResponse& answer) {
  if (auto file = readable_exit(task.dir.get())) return exit_status(*file);
  if (auto kept = find_kept_exit(core, same(task))) return exit_status(*kept);
  ExitStatus exit;
  exit.status = static_cast<int>(answer.exit_status);
  if (exit.status > 128) exit.signal = exit.status - 128;
  exit.started_ns = task.status.started_ns;
  exit.exited_ns = answer.exited_ns;
  return exit;
}

ExitStatus parked(Core& core, const Task& task, const Wait& wait) {
  auto answer = ask<api::WaitResponse>(core, task, "Wait", api::WaitRequest{task.id, ""}, wait);
  if (answer) return exit_of(core, task, *answer);
  if (auto file = readable_exit(task.dir.get())) return exit_status(*file);
  if (auto kept = find_kept_exit(core, same(task))) return exit_status(*kept);
  throw not_found(Kind::kTask, "container \"" + task.id + "\": its task was deleted meanwhile");
}

}  // namespace

ExitStatus wait_task(Core& core, const TaskRef& ref, const Wait& wait) {
  auto [task, exit] = get_task_or_exit(core, ref, wait);
  if (!exit) exit = parked(core, *task, wait);
  if (task) sweep_expired_quietly(core, *task, wait.within(kShimEnds));
  return *exit;
}

}  // namespace ctrd::engine
