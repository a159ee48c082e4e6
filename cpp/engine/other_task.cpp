// SPDX-License-Identifier: Apache-2.0
#include "engine/other_task.h"

#include <poll.h>
#include <signal.h>

#include <charconv>

#include "base/cgroup.h"
#include "base/cgroup_stats.h"
#include "base/error.h"
#include "base/files.h"
#include "base/identifier.h"
#include "base/log.h"
#include "engine/children.h"
#include "engine/kill_shim.h"
#include "engine/other_shim.h"
#include "engine/rpc.h"
#include "engine/verbs.h"
#include "oci/runtime_errors.h"

namespace ctrd::engine {
namespace {

constexpr Nanos kLook = std::chrono::seconds(2);
constexpr Nanos kFreezerStep = std::chrono::milliseconds(1);
constexpr Nanos kOpening = std::chrono::seconds(5);
constexpr Nanos kShutdown = std::chrono::seconds(3);  // containerd's
// Of exec/<exec id>/, beside those of ours: when it was begun, and that its exit was told.
constexpr const char* kStartedFile = "started";
constexpr const char* kToldFile = "told";
constexpr const char* kClosedFile = "closed";        // its input ended, perhaps before its start
constexpr const char* kSizeFile = "size";            // its terminal's, given before its start
constexpr const char* kEscalatedFile = "escalated";  // of the bundle, as the next one
constexpr const char* kTimedOutFile = "timed-out";

std::string exec_file(const std::string& exec, const char* name) {
  return std::string(api::kExecDir) + "/" + exec + "/" + name;
}

// False: somebody else was first.
bool mark(const Task& task, const std::string& name, const std::string& content) {
  try {
    create_file_at(task.dir.get(), name, content, 0600);
    return true;
  } catch (const Error& error) {
    if (error.code() != Code::kAlreadyExists) throw;
    return false;
  }
}

int64_t number_in(const Task& task, const std::string& name) {
  std::string text = find_file_at(task.dir.get(), name, 64).value_or("");
  int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

uint32_t signal_of(uint32_t status) {
  return status > 128 && status <= 128u + SIGRTMAX ? status - 128 : 0;
}

template <typename T>
void tell(Core& core, const Task& task, const T& message, bool once = false) {
  api::Event event = api::make_event(task.ns, message);
  if (once) event.id = api::event_id(task.status.instance, event.topic);
  core.events->append_new({event});
}

// What a failure here loses is less than the verb that has succeeded.
template <typename F>
void quietly(const Task& task, const F& note) {
  try {
    note();
  } catch (const Error& error) {
    log(Level::kWarning, "container " + task.id + ": " + error.message());
  }
}

// The first process has ended.
api::ExitFile note_exit(Core& core, const Task& task, uint32_t status, int64_t exited_ns) {
  auto file = readable_status(task.dir.get());
  api::StatusFile before = file ? *file : task.status;
  api::ExitFile exit;
  exit.status = status;
  exit.signal = signal_of(status);
  exit.started_ns = before.started_ns;
  exit.exited_ns = exited_ns == api::kNotYet ? wall_ns() : exited_ns;
  exit.instance = before.instance;
  auto kills = read_oom_kills(open_cgroup(before.cgroups_path));
  bool by_kill = exit.signal == SIGKILL;
  exit.escalated = by_kill && exists_at(task.dir.get(), kEscalatedFile);
  exit.timed_out = by_kill && exists_at(task.dir.get(), kTimedOutFile);
  bool ours = exit.escalated || exit.timed_out;
  exit.oom_killed = status != 0 && !ours && kills.value_or(0) > 0;
  quietly(task, [&] {
    if (auto told = readable_exit(task.dir.get())) {  // by another process, which then counts
      exit = *told;
      return;
    }
    replace_file_at(task.dir.get(), api::kExitFile, api::encode_file(exit), 0600, false);
    std::string bundle = core.bundle_path(task.ns, task.id);
    core.events->append_new(story_of(task.ns, task.id, bundle, before, exit).until_exit);
  });
  return exit;
}

void note_started(Core& core, const Task& task, int64_t began_ns) {
  auto status = readable_status(task.dir.get());
  if (!status || status->status != api::Status::kCreated) return;
  status->status = api::Status::kRunning;
  status->started_ns = began_ns;
  replace_file_at(task.dir.get(), api::kStatusFile, api::encode_file(*status), 0600, false);
  tell(core, task, api::TaskStart{task.id, status->pid}, true);
}

void note_exec_added(Core& core, const Task& task, const api::ExecProcessRequest& request) {
  UniqueFd dir =
      make_dirs_at(task.dir.get(), std::string(api::kExecDir) + "/" + request.exec_id, 0700);
  create_file_at(dir.get(), api::kProcessFile, request.spec.value, 0600);
  tell(core, task, api::TaskExecAdded{task.id, request.exec_id});
}

// Such a shim forgets an end of input that comes before the start.
void close_again(const Task& task, const std::string& exec) {
  if (!exists_at(task.dir.get(), exec_file(exec, kClosedFile))) return;
  Wait wait = cleanup_wait(kLook);
  std::string request = api::encode(api::CloseIORequest{task.id, exec, true});
  begin_call(task.dir.get(), api::kTaskV2, "CloseIO", std::move(request), wait).finish(wait);
}

// As it forgets a size.
void resize_again(const Task& task, const std::string& exec) {
  auto request = find_file_at(task.dir.get(), exec_file(exec, kSizeFile), 1024);
  if (!request) return;
  Wait wait = cleanup_wait(kLook);
  begin_call(task.dir.get(), api::kTaskV2, "ResizePty", std::move(*request), wait).finish(wait);
}

void note_exec_started(Core& core, const Task& task, const std::string& exec, uint32_t pid) {
  mark(task, exec_file(exec, api::kExecPidFile), std::to_string(pid));
  tell(core, task, api::TaskExecStarted{task.id, exec, pid});
  close_again(task, exec);
  resize_again(task, exec);
}

api::ExitInfo exec_exit(const Task& task, const std::string& exec, uint32_t status,
                        int64_t exited_ns) {
  api::ExitInfo exit;
  exit.status = status;
  exit.signal = signal_of(status);
  exit.exited_ns = exited_ns;
  exit.started_ns = number_in(task, exec_file(exec, kStartedFile));
  exit.pid = static_cast<uint32_t>(number_in(task, exec_file(exec, api::kExecPidFile)));
  return exit;
}

void note_exec_exit(Core& core, const Task& task, const std::string& exec,
                    const api::ExitInfo& exit) {
  if (exit.pid == 0 || !mark(task, exec_file(exec, kToldFile), "")) return;
  tell(core, task, api::TaskExit{task.id, exec, exit.pid, exit.status, exit.exited_ns});
}

// Of init or of an exec; both Wait and Delete have said this.
api::ExitInfo note_end(Core& core, const Task& task, const std::string& exec, uint32_t status,
                       int64_t exited_ns) {
  if (!exec.empty()) {
    api::ExitInfo exit = exec_exit(task, exec, status, exited_ns);
    quietly(task, [&] { note_exec_exit(core, task, exec, exit); });
    return exit;
  }
  api::ExitFile file = note_exit(core, task, status, exited_ns);
  api::ExitInfo exit;
  exit.status = file.status;
  exit.signal = file.signal;
  exit.started_ns = file.started_ns;
  exit.exited_ns = file.exited_ns;
  exit.oom_killed = file.oom_killed;
  exit.escalated = file.escalated;
  exit.timed_out = file.timed_out;
  return exit;
}

void note_deleted(Core& core, const Task& task, const std::string& exec,
                  const api::ExitInfo& exit) {
  if (!exec.empty()) {
    remove_tree_at(task.dir.get(), std::string(api::kExecDir) + "/" + exec);
    return;
  }
  end_other_shim(task);
  api::TaskDelete deleted{task.id, task.status.pid, exit.status, exit.exited_ns, ""};
  tell(core, task, deleted, true);
}

template <typename Reply>
std::string exit_answer(Core& core, const Task& task, const ShimCall& call,
                        const std::string& reply) {
  auto request = api::decode<api::WaitRequest>(call.payload);  // a DeleteRequest has its fields
  auto said = api::decode<Reply>(reply);
  api::ExitInfo exit = note_end(core, task, request.exec_id, said.exit_status, said.exited_ns);
  if (call.method == "Delete")
    quietly(task, [&] { note_deleted(core, task, request.exec_id, exit); });
  return call.service == api::kShimV1 ? api::encode(exit) : reply;
}

// v1's freezer keeps SIGKILL waiting.
void let_die(const Task& task, const api::KillRequest& kill) {
  if (kill.signal == SIGKILL && kill.exec_id.empty()) thaw_cgroup(task.status.cgroups_path);
}

// Its runtime may only have asked the freezer, which takes its time.
void await_frozen(const Task& task) {
  const std::string& cgroup = task.status.cgroups_path;
  Wait wait = cleanup_wait(kLook);
  auto may_freeze = [&] { return is_alive(init_of(task.status)) && !open_cgroup(cgroup).empty(); };
  while (may_freeze() && !cgroup_frozen(cgroup) && !wait.expired())
    poll_until({}, wait.within(kFreezerStep));
}

void note(Core& core, const Task& task, const ShimCall& call, const std::string& reply) {
  if (call.method == "Start") {
    std::string exec = api::decode<api::StartRequest>(call.payload).exec_id;
    if (exec.empty()) return note_started(core, task, call.began_ns);
    note_exec_started(core, task, exec, api::decode<api::StartResponse>(reply).pid);
  }
  if (call.method == "Exec")
    note_exec_added(core, task, api::decode<api::ExecProcessRequest>(call.payload));
  if (call.method == "Kill" || call.method == "Escalate")
    let_die(task, api::decode<api::KillRequest>(call.payload));
  if (call.method == "Pause") {
    await_frozen(task);
    tell(core, task, api::TaskPaused{task.id});
  }
  if (call.method == "Resume") tell(core, task, api::TaskResumed{task.id});
}

ShimCall in_place_of(const Task& task, const ShimCall& call) {
  if (call.method == "Wait" || call.method == "Delete")
    return {api::kTaskV2, call.method, call.payload, call.began_ns};
  if (call.method == "Escalate") {
    mark(task, kEscalatedFile, "");
    return {api::kTaskV2, "Kill", call.payload, call.began_ns};
  }
  if (call.method == "Limit")
    throw lacks(task.status.other_shim, "timeout=, a limit of a process",
                "kill it from here when it is late");
  throw lacks(task.status.other_shim, std::string(call.method), "use a runtime of ctrd's own shim");
}

// Made by Exec; without it the shim has the word.
bool has_row(const Task& task, const std::string& exec) {
  return is_identifier(exec) && exists_at(task.dir.get(), exec_file(exec, api::kProcessFile));
}

void begin_exec(const Task& task, const std::string& exec, int64_t began_ns) {
  if (mark(task, exec_file(exec, kStartedFile), std::to_string(began_ns))) return;
  throw failed_precondition(
      "process \"" + exec + "\" of container \"" + task.id + "\" was started before",
      Kind::kProcess);
}

oci::Verb verb_of(std::string_view method) {
  if (method == "Create") return oci::Verb::kCreate;
  if (method == "Start") return oci::Verb::kStart;
  if (method == "Exec") return oci::Verb::kExec;
  if (method == "Kill") return oci::Verb::kKill;
  if (method == "Pause") return oci::Verb::kPause;
  if (method == "Resume") return oci::Verb::kResume;
  if (method == "Update") return oci::Verb::kUpdate;
  return method == "Delete" ? oci::Verb::kDelete : oci::Verb::kState;
}

// Of init or of an exec: every request has these two fields, or the first alone.
std::string exec_of(const ShimCall& call) {
  if (call.method == "Create" || call.method == "Update") return "";
  return api::decode<api::StateRequest>(call.payload).exec_id;
}

}  // namespace

ShimCall prepared(const Task& task, const ShimCall& call) {
  if (!is_other(task)) return call;
  if (call.service == api::kShimV1) return in_place_of(task, call);
  std::string exec = exec_of(call);
  if (!has_row(task, exec)) return call;
  if (call.method == "Start") begin_exec(task, exec, call.began_ns);
  if (call.method == "CloseIO") mark(task, exec_file(exec, kClosedFile), "");
  if (call.method == "ResizePty")
    replace_file_at(task.dir.get(), exec_file(exec, kSizeFile), call.payload, 0600, false);
  return call;
}

std::string answered(Core& core, const Task& task, const ShimCall& call, std::string reply) {
  if (!is_other(task)) return reply;
  if (call.method == "Wait") return exit_answer<api::WaitResponse>(core, task, call, reply);
  if (call.method == "Delete") return exit_answer<api::DeleteResponse>(core, task, call, reply);
  quietly(task, [&] { note(core, task, call, reply); });
  return reply;
}

Error refused(const Task& task, const ShimCall& call, const Error& error) {
  if (!is_other(task)) return error;
  std::string exec = exec_of(call);
  Kind kind = exec.empty() ? Kind::kTask : Kind::kProcess;
  switch (error.code()) {
    case Code::kUnknown:
      return oci::shim_error(exec.empty() ? verb_of(call.method) : oci::Verb::kExec,
                             task.status.other_shim, error.message());
    case Code::kNotFound:
    case Code::kAlreadyExists:
    case Code::kFailedPrecondition:
      return error.kind() == Kind::kNone ? Error(error.code(), error.message(), kind) : error;
    case Code::kUnimplemented:
      return lacks(task.status.other_shim, std::string(call.method),
                   "use a runtime of ctrd's own shim");
    default:
      return error;
  }
}

void note_created(Core& core, int bundle, api::StatusFile* status, uint32_t pid,
                  api::TaskCreate event, const std::string& ns) {
  status->status = api::Status::kCreated;
  status->pid = pid;
  status->pid_start = start_time(static_cast<pid_t>(pid), false).value_or(0);
  status->created_ns = wall_ns();
  event.pid = pid;
  api::Event made = api::make_event(ns, event);
  made.id = api::event_id(status->instance, made.topic);
  made.time_ns = status->created_ns;
  core.events->append_new({made});
  replace_file_at(bundle, api::kStatusFile, api::encode_file(*status), 0600, false);
}

void refresh(Core& core, Task* task, const Wait& wait) {
  if (!is_other(*task) || task->exit) return;
  bool created = task->status.status == api::Status::kCreated;
  if (!created && is_alive(init_of(task->status))) return;
  try {
    std::string request = api::encode(api::StateRequest{task->id, ""});
    Wait limit = wait.within(kLook);
    auto reply = begin_call(task->dir.get(), api::kTaskV2, "State", request, limit).finish(limit);
    auto state = api::decode<api::StateResponse>(reply);
    if (state.status == api::Status::kStopped)
      task->exit = note_exit(core, *task, state.exit_status, state.exited_ns);
    else if (created && state.status != api::Status::kCreated)
      note_started(core, *task, wall_ns());
    if (auto now = readable_status(task->dir.get())) task->status = *now;
  } catch (const Error& error) {
    if (error.code() == Code::kCancelled) throw;
    log(Level::kDebug, "container " + task->id + ": its shim says nothing: " + error.message());
  }
}

void await_reader(const Task& task, const std::string& exec, int fd) {
  if (!is_other(task) || fd < 0) return;
  for (Wait wait = cleanup_wait(kOpening); !wait.expired();) {
    pollfd end{fd, 0, 0};
    if (::poll(&end, 1, 0) == 0) return;  // without a reader it is POLLERR
    std::string request = api::encode(api::StateRequest{task.id, exec});
    auto reply = begin_call(task.dir.get(), api::kTaskV2, "State", request, wait).finish(wait);
    if (api::decode<api::StateResponse>(reply).status == api::Status::kStopped) return;
    poll_until({}, wait.within(std::chrono::milliseconds(2)));
  }
}

void kill_late(Core& core, const Task& task, const Wait& wait) {
  mark(task, kTimedOutFile, "");
  TaskRef same{task.ns, task.id, task.status.instance};
  kill_task(core, same, SIGKILL, std::nullopt, true, wait);
}

void end_other_shim(const Task& task) {
  Wait wait = cleanup_wait(kShutdown);
  try {
    std::string request = api::encode(api::ShutdownRequest{task.id, false});
    begin_call(task.dir.get(), api::kTaskV2, "Shutdown", std::move(request), wait).finish(wait);
  } catch (const Error&) {  // it may go before it answers
  }
  if (!wait_process(shim_of(task.status), wait)) {
    kill_shim(shim_of(task.status));
    wait_process(shim_of(task.status), cleanup_wait(kShutdown));
  }
  remove_other_remains(task.dir.get());
}

}  // namespace ctrd::engine
