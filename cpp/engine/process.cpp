// SPDX-License-Identifier: Apache-2.0
// The verbs of one process of a task: an exec, found by its id or its host pid. Its exit is the
// shim's to tell, as long as its row is there; with a shim that was killed, it was killed too.
#include <signal.h>
#include <sys/eventfd.h>

#include <cerrno>
#include <charconv>

#include "base/error.h"
#include "base/files.h"
#include "engine/bundle.h"
#include "engine/exec.h"
#include "engine/other_task.h"
#include "engine/rpc.h"
#include "engine/verbs.h"

namespace ctrd::engine {
namespace {

constexpr Nanos kEndLimit = std::chrono::seconds(10);
constexpr int kEndTries = 4;

// Its shim was killed, or the machine was: nobody saw its end, and it is as its container's.
ExitStatus lost_exit(Core& core, const Task& task, const Wait& wait) {
  if (task.exit) return exit_status(*task.exit);
  return wait_task(core, {task.ns, task.id, task.status.instance}, wait.within(kEndLimit));
}

Error no_process(const Task& task, const std::string& process) {
  return not_found(Kind::kProcess,
                   "container \"" + task.id + "\" has no process \"" + process + "\"")
      .with("process", process);
}

std::optional<int> read_pid(int exec_dir, const std::string& exec) {
  auto text = find_file_at(exec_dir, exec + "/" + api::kExecPidFile, 64);
  int pid = 0;
  if (!text || std::from_chars(text->data(), text->data() + text->size(), pid).ec != std::errc())
    return std::nullopt;
  return pid;
}

std::string exec_of_pid(const Task& task, int pid) {
  if (static_cast<uint32_t>(pid) == task.status.pid) return "";
  if (auto dir = find_dir_at(task.dir.get(), api::kExecDir))
    for (const std::string& exec : list_dir(dir->get()))
      if (read_pid(dir->get(), exec) == pid) return exec;
  throw no_process(task, std::to_string(pid));
}

// The task, and the exec's id.
struct Found {
  Task task;
  std::string exec;
};
Found get_process(Core& core, const ProcessRef& ref, const Wait& wait) {
  Task task = get_task(core, ref.task, wait);
  std::string exec = ref.pid != 0 ? exec_of_pid(task, ref.pid) : ref.exec;
  return {std::move(task), std::move(exec)};
}

// nullopt: the shim has gone, with its processes.
std::optional<std::string> ask_shim(Core& core, const Task& task, std::string_view service,
                                    std::string_view method, std::string payload,
                                    const Wait& wait) {
  if (!is_alive(shim_of(task.status))) return std::nullopt;
  return ask_bytes(core, task, service, method, std::move(payload), wait);
}

template <typename Ask>
std::optional<std::string> ask_soon(Core& core, const Task& task, std::string_view method,
                                    const Ask& request, const Wait& wait) {
  return ask_shim(core, task, api::kTaskV2, method, api::encode(request),
                  wait.within(core.config.rpc_timeout));
}

ExitStatus wait_exec(Core& core, const Task& task, const std::string& exec, const Wait& wait) {
  auto bytes = ask_shim(core, task, api::kShimV1, "Wait",
                        api::encode(api::WaitRequest{task.id, exec}), wait);
  if (!bytes) return lost_exit(core, task, wait);
  return exit_status(api::decode<api::ExitInfo>(*bytes));
}

ExitStatus delete_exec(Core& core, const Task& task, const std::string& exec, const Wait& wait) {
  auto bytes =
      ask_shim(core, task, api::kShimV1, "Delete", api::encode(api::DeleteRequest{task.id, exec}),
               wait.within(core.config.rpc_timeout));
  if (!bytes) return lost_exit(core, task, wait);
  return exit_status(api::decode<api::ExitInfo>(*bytes));
}

// False: it runs, or is being started. may_run: else that is an error.
bool try_delete(Core& core, const Task& task, const std::string& exec, bool may_run,
                const Wait& wait) {
  try {
    delete_exec(core, task, exec, wait);
  } catch (const Error& error) {
    if (error.code() == Code::kFailedPrecondition && may_run) return false;
    if (error.code() != Code::kNotFound) throw;
  }
  return true;
}

// False: there is nothing to signal any more.
bool kill_exec(Core& core, const Task& task, const std::string& exec, int signal, bool all,
               const Wait& wait) {
  api::KillRequest request{task.id, exec, static_cast<uint32_t>(signal), all};
  try {
    return ask_soon(core, task, "Kill", request, wait).has_value();
  } catch (const Error& error) {
    if (error.code() != Code::kNotFound) throw;
    return false;
  }
}

api::StateResponse ask_state(Core& core, const Task& task, const std::string& exec,
                             const Wait& wait) {
  api::StateResponse stopped;
  stopped.status = api::Status::kStopped;
  auto bytes = ask_soon(core, task, "State", api::StateRequest{task.id, exec}, wait);
  return bytes ? api::decode<api::StateResponse>(*bytes) : stopped;
}

// Nothing is there to be waited for: readable at once.
UniqueFd readable_fd() {
  UniqueFd fd(::eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!fd) throw sys_error("make an eventfd");
  return fd;
}

// State goes first on the same connection: that there is no such process, and that the shim takes
// no more connections, is said here. A descriptor that was refused would be readable for ever.
UniqueFd park(const Task& task, const std::string& exec, const Wait& wait) {
  ShimCall state{api::kTaskV2, "State", api::encode(api::StateRequest{task.id, exec})};
  ttrpc::Call first = begin_call(task.dir.get(), state.service, state.method, state.payload, wait);
  try {
    first.finish(wait);
  } catch (const Error& error) {
    throw refused(task, state, error);
  }
  std::string payload = api::encode(api::WaitRequest{task.id, exec});
  ttrpc::Request parked{std::string(api::kTaskV2), "Wait", std::move(payload), 0, {}};
  return ttrpc::Call(first.take_socket(), parked, wait, 3).take_socket();
}

}  // namespace

int start_process(Core& core, const ProcessRef& ref, const std::string& io, UniqueFd* in,
                  const Wait& wait) {
  auto [task, exec] = get_process(core, ref, wait);
  int pid = start_added(core, task, exec, wait);
  if (io.empty()) return pid;
  open_stdin(open_dir_at(task.dir.get(), io).get(), in);
  await_reader(task, exec, in->get());
  remove_fifos(task, io);
  return pid;
}

ExitStatus wait_process(Core& core, const ProcessRef& ref, const Wait& wait) {
  auto [task, exec] = get_process(core, ref, wait);
  return wait_exec(core, task, exec, wait);
}

TaskState process_state(Core& core, const ProcessRef& ref, const Wait& wait) {
  auto [task, exec] = get_process(core, ref, wait);
  api::StateResponse answer = ask_state(core, task, exec, wait);
  TaskState state;
  state.status = task_status(answer.status);
  state.tty = answer.terminal;
  if (answer.status == api::Status::kStopped)
    state.exit = wait_exec(core, task, exec, wait.within(kEndLimit));
  else
    state.pid = static_cast<int>(answer.pid);
  return state;
}

std::optional<ExitStatus> poll_process(Core& core, const ProcessRef& ref, const Wait& wait) {
  return process_state(core, ref, wait).exit;
}

void kill_process(Core& core, const ProcessRef& ref, int signal, const Wait& wait) {
  auto [task, exec] = get_process(core, ref, wait);
  if (kill_exec(core, task, exec, signal, false, wait)) return;
  ask_state(core, task, exec, wait);  // kNotFound if there is no such process
}

ExitStatus delete_process(Core& core, const ProcessRef& ref, const std::string& io,
                          const Wait& wait) {
  auto [task, exec] = get_process(core, ref, wait);
  ExitStatus exit = delete_exec(core, task, exec, wait);
  if (!io.empty()) remove_fifos(task, io);
  return exit;
}

// Delete tells whether it runs. A Start that was interrupted may reach the shim only after it, and
// then finds no process; or before, and then SIGKILL is remembered.
void end_process(Core& core, const Task& task, const std::string& exec, const Wait& wait) {
  for (int tries = kEndTries; !try_delete(core, task, exec, --tries > 0, wait);) {
    kill_exec(core, task, exec, SIGKILL, true, wait);
    wait_exec(core, task, exec, wait.within(kEndLimit));
  }
}

void close_stdin(Core& core, const ProcessRef& ref, const Wait& wait) {
  auto [task, exec] = get_process(core, ref, wait);
  if (task.exit) return;
  ask_soon(core, task, "CloseIO", api::CloseIORequest{task.id, exec, true}, wait);
}

void resize(Core& core, const ProcessRef& ref, uint32_t cols, uint32_t rows, const Wait& wait) {
  auto [task, exec] = get_process(core, ref, wait);
  api::StateResponse state = ask_state(core, task, exec, wait);
  if (!state.terminal)
    throw failed_precondition(
        "container \"" + task.id + "\": " +
            (exec.empty() ? "its first process" : "process \"" + exec + "\"") + " has no tty",
        Kind::kProcess);
  ask_soon(core, task, "ResizePty", api::ResizePtyRequest{task.id, exec, cols, rows}, wait);
}

ProcessInfo find_process(Core& core, const ProcessRef& ref, const Wait& wait) {
  auto [task, exec] = get_process(core, ref, wait);
  api::StateResponse state = ask_state(core, task, exec, wait);
  ProcessInfo info{exec, task.status.instance, static_cast<int>(state.pid), ""};
  if (state.status == api::Status::kStopped) info.pid = 0;
  if (!exec.empty())
    info.json = find_file_at(task.dir.get(),
                             std::string(api::kExecDir) + "/" + exec + "/" + api::kProcessFile)
                    .value_or("");
  return info;
}

UniqueFd open_kept_stdin(Core& core, const ProcessRef& ref, const Wait& wait) {
  if (!ref.exec.empty()) return {};
  Task task = get_task(core, ref.task, wait);
  int flags = O_WRONLY | O_NONBLOCK;
  try {
    auto fifo = find_at(task.dir.get(), std::string(api::kIoDir) + "/stdin", flags);
    return fifo ? std::move(*fifo) : UniqueFd();
  } catch (const Error& error) {
    if (error.sys_errno() != ENXIO) throw;
    return {};  // nobody reads it any more
  }
}

UniqueFd park_wait(Core& core, const ProcessRef& ref, const Wait& wait) {
  auto [task, exec] = get_process(core, ref, wait);
  bool over = (task.exit && exec.empty()) || !is_alive(shim_of(task.status));
  if (over) return readable_fd();
  try {
    return park(task, exec, wait.within(core.config.rpc_timeout));
  } catch (const Error& error) {
    if (!shim_is_gone(core, task, error, wait)) throw;
    return readable_fd();
  }
}

}  // namespace ctrd::engine
