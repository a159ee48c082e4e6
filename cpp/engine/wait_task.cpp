// SPDX-License-Identifier: Apache-2.0
// Waiting: the exit file if it is there, else a Wait parked in the shim. Whoever asks late still
// learns.
#include "base/error.h"
#include "engine/rpc.h"
#include "engine/verbs.h"

namespace ctrd::engine {
namespace {

// The exit file may be gone already (task deleted by another); the answer has the essentials too.
ExitStatus exit_of(const Task& task, const api::WaitResponse& answer) {
  if (auto file = api::find_exit_file(task.dir.get())) return exit_status(*file);
  ExitStatus exit;
  exit.status = static_cast<int>(answer.exit_status);
  if (exit.status > 128) exit.signal = exit.status - 128;
  exit.started_ns = task.status.started_ns;
  exit.exited_ns = answer.exited_ns;
  return exit;
}

}  // namespace

ExitStatus wait_task(Core& core, const TaskRef& ref, const Wait& wait) {
  Task task = get_task(core, ref, wait);
  if (task.exit) return exit_status(*task.exit);
  auto answer = ask<api::WaitResponse>(core, task, "Wait", api::WaitRequest{ref.id, ""}, wait);
  if (answer) return exit_of(task, *answer);
  if (auto file = api::find_exit_file(task.dir.get())) return exit_status(*file);
  throw not_found(Kind::kTask, "container \"" + ref.id + "\": its task was deleted meanwhile");
}

}  // namespace ctrd::engine
