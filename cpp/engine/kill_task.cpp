// SPDX-License-Identifier: Apache-2.0
// Signals: to init and to all by the shim, to another process of the container by us, once it is
// known to be in its cgroup.
#include <signal.h>

#include <algorithm>
#include <cerrno>

#include "base/cgroup.h"
#include "base/error.h"
#include "engine/rpc.h"
#include "engine/verbs.h"

namespace ctrd::engine {
namespace {

void check_signal(int signal) {
  if (signal < 0 || signal > SIGRTMAX)
    throw invalid("signal", std::to_string(signal), "must be 0 to 64");
}

// Opened before the cgroup is read, so that the number cannot be given to another process in
// between.
void kill_member(const Task& task, int pid, int signal) {
  auto start = start_time(pid);
  auto members = cgroup_pids(task.status.cgroups_path);
  bool is_member = std::find(members.begin(), members.end(), pid) != members.end();
  if (!start || !is_member)
    throw not_found(Kind::kProcess, "process " + std::to_string(pid) +
                                        " is not one of container \"" + task.id + "\"")
        .with("pid", std::to_string(pid));
  signal_process({pid, *start, boot_id()}, signal);
}

void kill_in_shim(Core& core, const Task& task, int signal, bool all, const Wait& wait) {
  api::KillRequest request{task.id, "", static_cast<uint32_t>(signal), all};
  try {
    ask<api::Empty>(core, task, "Kill", request, wait.within(core.config.rpc_timeout));
  } catch (const Error& error) {
    // It has just ended: nothing to do.
    bool ended = error.code() == Code::kNotFound;
    if (!ended) throw;
  }
}

// SIGKILL to all; the shim writes into the exit file that the signal before was not enough. If it
// was after all, the exit says nothing of it.
void escalate(Core& core, const Task& task, const Wait& wait) {
  api::KillRequest request{task.id, "", SIGKILL, true};
  try {
    ask_bytes(core, task, api::kShimV1, "Escalate", api::encode(request),
              wait.within(core.config.rpc_timeout));
  } catch (const Error& error) {
    if (error.code() == Code::kUnimplemented) return kill_in_shim(core, task, SIGKILL, true, wait);
    if (error.code() != Code::kNotFound) throw;
  }
}

// What is frozen does not hear a signal. Somebody else may be quicker in resuming or ending it.
void resume_if_paused(Core& core, const Task& task, const Wait& wait) {
  if (task_status(task) != TaskStatus::kPaused) return;
  try {
    ask<api::Empty>(core, task, "Resume", api::ResumeRequest{task.id},
                    wait.within(core.config.rpc_timeout));
  } catch (const Error& error) {
    bool over = error.code() == Code::kFailedPrecondition || error.code() == Code::kNotFound;
    if (!over) throw;
  }
}

bool ended_within(Core& core, const TaskRef& ref, Nanos grace, const Wait& wait, ExitStatus* exit) {
  Wait limit = wait.within(grace);
  try {
    *exit = wait_task(core, ref, limit);
    return true;
  } catch (const Error& error) {
    if (error.code() != Code::kDeadlineExceeded || wait.expired()) throw;
    return false;
  }
}

}  // namespace

void kill_task(Core& core, const TaskRef& ref, int signal, std::optional<int> pid, bool all,
               const Wait& wait) {
  check_signal(signal);
  auto [found, ended] = get_task_or_exit(core, ref, wait);
  if (ended) return;
  const Task& task = *found;
  if (pid && static_cast<uint32_t>(*pid) != task.status.pid) return kill_member(task, *pid, signal);
  kill_in_shim(core, task, signal, all, wait);
}

ExitStatus stop_task(Core& core, const TaskRef& ref, int signal, Nanos grace, const Wait& wait) {
  check_signal(signal);
  auto [found, ended] = get_task_or_exit(core, ref, wait);
  if (ended) return *ended;
  const Task& task = *found;
  TaskRef same{ref.ns, ref.id, task.status.instance};
  ExitStatus exit;
  bool waiting = task_status(task) == TaskStatus::kCreated;  // its init may ignore all but SIGKILL
  if (!waiting) {
    kill_in_shim(core, task, signal, false, wait);
    resume_if_paused(core, task, wait);
    if (ended_within(core, same, grace, wait, &exit)) return exit;
  }
  if (waiting)
    kill_in_shim(core, task, SIGKILL, true, wait);
  else
    escalate(core, task, wait);
  return wait_task(core, same, wait.within(core.config.rpc_timeout));
}

}  // namespace ctrd::engine
