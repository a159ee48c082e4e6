// SPDX-License-Identifier: Apache-2.0
// Ending a task: killed if it lives and force says so, then Delete through its shim, which exits;
// then the bundle can be claimed. A shim that does not answer is killed, and its task settled.
#include <signal.h>

#include <algorithm>

#include "base/error.h"
#include "base/log.h"
#include "engine/children.h"
#include "engine/exits.h"
#include "engine/other_task.h"
#include "engine/rpc.h"
#include "engine/settle.h"
#include "engine/task.h"
#include "engine/verbs.h"

namespace ctrd::engine {
namespace {

constexpr Nanos kEndLimit = std::chrono::seconds(10);  // for a killed task to end, a shim to exit

// Until its exit is known. The shim may go meanwhile; then the task is settled.
void kill_and_wait(Core& core, const Task& task, const Wait& wait) {
  api::KillRequest kill{task.id, "", SIGKILL, true};
  try {
    ask<api::Empty>(core, task, "Kill", kill, wait);
  } catch (const Error& error) {
    if (error.code() != Code::kNotFound) throw;  // it has just ended
  }
  ask<api::WaitResponse>(core, task, "Wait", api::WaitRequest{task.id, ""}, wait);
}

// The exit if the shim gave one.
std::optional<api::ExitInfo> delete_in_shim(Core& core, const Task& task, const Wait& wait,
                                            const std::function<void()>& meanwhile) {
  ShimCall deletion{api::kShimV1, "Delete", api::encode(api::DeleteRequest{task.id, ""})};
  ShimCall sent = prepared(task, deletion);
  std::optional<ttrpc::Call> call;
  try {
    call.emplace(begin_call(task.dir.get(), sent.service, sent.method, sent.payload, wait));
  } catch (const Error& error) {
    if (!shim_is_gone(core, task, error, wait)) throw;
  }
  if (meanwhile) meanwhile();
  if (!call) return std::nullopt;
  try {
    return api::decode<api::ExitInfo>(answered(core, task, deletion, call->finish(wait)));
  } catch (const Error& error) {
    // kNotFound: somebody else was faster
    bool deleted = error.code() == Code::kNotFound;
    if (!deleted && !shim_is_gone(core, task, error, wait)) throw refused(task, deletion, error);
    if (deleted && is_other(task)) end_other_shim(task);  // perhaps died before this
    return std::nullopt;
  }
}

// By all means: what does not work through the shim is done without it.
void force_end(Core& core, const Task& task, const Wait& wait) {
  try {
    Nanos limit = std::min(kEndLimit, core.config.rpc_timeout);
    if (!task.exit) kill_and_wait(core, task, wait.within(limit));
    return;
  } catch (const Error& error) {
    if (wait.expired() || error.code() == Code::kCancelled) throw;
    log(Level::kWarning, "container " + task.id + ": its shim is killed: " + error.message());
  }
  end_shim(core, task.ns, task.id, shim_of(task.status));
}

ExitStatus exit_of(const Core& core, const Task& task, const std::optional<api::ExitInfo>& answer) {
  ExitStatus exit;
  if (auto file = readable_exit(task.dir.get()))
    exit = exit_status(*file);
  else if (auto kept = find_kept_exit(core, {task.ns, task.id, task.status.instance}))
    exit = exit_status(*kept);
  else if (task.exit)
    exit = exit_status(*task.exit);
  else if (answer)
    exit = exit_status(*answer);
  if (answer) exit.output_cut |= answer->output_cut;  // what nobody read
  return exit;
}

// Of this instance only. is_clean: the shim has said that nothing of the task is left.
std::optional<Claim> claim_ended(Core& core, const Task& task, bool force, bool is_clean,
                                 const Wait& wait) {
  std::optional<Claim> claim;
  Claimed claimed = claim_bundle(core, task.ns, task.id, wait.within(kEndLimit), &claim);
  if (claimed == Claimed::kHeld && force) {
    signal_process(shim_of(task.status), SIGKILL);
    claimed = claim_bundle(core, task.ns, task.id, cleanup_wait(kEndLimit), &claim);
  }
  if (claimed == Claimed::kHeld)
    throw Error(Code::kUnavailable,
                "container \"" + task.id + "\": the shim of its ended task does not exit");
  if (!claim) return std::nullopt;
  auto status = readable_status(claim->dir.get());
  if (!status || status->instance != task.status.instance) return std::nullopt;
  if (is_clean) return claim;
  settle_claimed(*claim);
  auto exit = readable_exit(claim->dir.get());
  if (exit && exit->lost != api::Lost::kNot) keep_exit(*claim);  // others may wait for it
  return claim;
}

// Delete, in the shim if there is one. By force: if it does not answer, without it.
std::optional<api::ExitInfo> delete_task_of(Core& core, const Task& task, bool force,
                                            const Wait& wait,
                                            const std::function<void()>& meanwhile) {
  if (!is_alive(shim_of(task.status))) {
    if (meanwhile) meanwhile();
    return std::nullopt;
  }
  try {
    return delete_in_shim(core, task, wait.within(core.config.rpc_timeout), meanwhile);
  } catch (const Error& error) {
    if (!force || wait.expired() || error.kind() == Kind::kRoot) throw;
    log(Level::kWarning, "container " + task.id + ": its shim is killed: " + error.message());
  }
  end_shim(core, task.ns, task.id, shim_of(task.status));
  return std::nullopt;
}

}  // namespace

std::optional<Ended> end_task(Core& core, const TaskRef& ref, bool force, const Wait& wait,
                              const std::function<void()>& meanwhile) {
  auto task = find_task(core, ref, wait);
  if (!task) return std::nullopt;
  if (!task->exit && !force)
    throw failed_precondition("container \"" + ref.id + "\": its task has not ended; force ends it",
                              Kind::kTask)
        .with("id", ref.id);
  if (!task->exit) force_end(core, *task, wait);
  auto answer = delete_task_of(core, *task, force, wait, meanwhile);
  ExitStatus exit = exit_of(core, *task, answer);
  expect_end(static_cast<pid_t>(task->status.shim_pid));
  bool expires = task->status.on_exit == api::OnExit::kDelete;
  return Ended{exit, claim_ended(core, *task, force, answer.has_value(), wait), expires};
}

ExitStatus delete_task(Core& core, const TaskRef& ref, bool force, const Wait& wait) {
  get_task(core, ref, wait);
  auto ended = end_task(core, ref, force, wait);
  if (!ended) throw not_found(Kind::kTask, "container \"" + ref.id + "\": its task was deleted");
  if (ended->expires && ended->claim) {
    sweep_claimed(core, std::move(*ended->claim));
    return ended->exit;
  }
  Discard at_end(core, std::move(ended->claim));
  return ended->exit;
}

}  // namespace ctrd::engine
