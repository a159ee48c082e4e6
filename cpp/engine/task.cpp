// SPDX-License-Identifier: Apache-2.0
#include "engine/task.h"

#include "base/cgroup.h"
#include "base/error.h"
#include "base/files.h"
#include "base/identifier.h"
#include "base/log.h"
#include "engine/exits.h"
#include "engine/other_task.h"
#include "engine/settle.h"

namespace ctrd::engine {
namespace {

std::optional<Task> read_task(const Core& core, const TaskRef& ref) {
  auto dir = core.find_dir(ref.ns, ref.id);
  if (!dir) return std::nullopt;
  auto status = api::find_status_file(dir->get());
  if (!status || status->status == api::Status::kUnknown) return std::nullopt;
  if (!ref.instance.empty() && ref.instance != status->instance) return std::nullopt;
  auto exit = readable_exit(dir->get());
  return Task{std::move(*dir), ref.ns, ref.id, std::move(*status), exit};
}

// Settled if nobody holds it: then it is gone.
std::optional<Task> read_or_settle(Core& core, const TaskRef& ref, const Wait& wait) {
  try {
    return read_task(core, ref);
  } catch (const Error& error) {
    if (error.code() != Code::kDataLoss) throw;
    log(Level::kWarning, error.message());
  }
  settle(core, ref.ns, ref.id, wait);
  return read_task(core, ref);
}

template <typename T>
std::optional<T> readable(std::optional<T> (*find)(int), int bundle) {
  try {
    return find(bundle);
  } catch (const Error& error) {
    if (error.code() != Code::kDataLoss) throw;
    log(Level::kWarning, error.message());
    return std::nullopt;
  }
}

[[noreturn]] void throw_none(Core& core, const TaskRef& ref, const Wait& wait) {
  if (ref.instance.empty()) {
    core.containers.get(ref.ns, ref.id, wait);
    throw not_found(Kind::kTask, "container \"" + ref.id + "\" has no task");
  }
  throw not_found(Kind::kTask,
                  "task " + ref.instance + " of container \"" + ref.id + "\" is there no more");
}

// What an ExitFile and an ExitInfo have in common.
template <typename Exit>
ExitStatus said_by_shim(const Exit& said) {
  ExitStatus exit;
  exit.status = static_cast<int>(said.status);
  if (said.signal != 0) exit.signal = static_cast<int>(said.signal);
  exit.started_ns = said.started_ns;
  exit.exited_ns = said.exited_ns;
  exit.oom_killed = said.oom_killed;
  exit.timed_out = said.timed_out;
  exit.escalated = said.escalated;
  exit.output_cut = said.output_cut;
  return exit;
}

}  // namespace

std::optional<api::StatusFile> readable_status(int bundle) {
  return readable(&api::find_status_file, bundle);
}

std::optional<api::ExitFile> readable_exit(int bundle) {
  return readable(&api::find_exit_file, bundle);
}

std::optional<api::StatusFile> find_status(const Core& core, const std::string& ns,
                                           const std::string& id) {
  auto dir = core.find_dir(ns, id);
  return dir ? api::find_status_file(dir->get()) : std::nullopt;
}

std::optional<Task> find_task(Core& core, const TaskRef& ref, const Wait& wait) {
  check_namespace(ref.ns);
  check_identifier("id", ref.id);
  for (int attempt = 0;; ++attempt) {
    auto task = read_or_settle(core, ref, wait);
    if (task) refresh(core, &*task, wait);
    if (!task || task->exit || is_alive(shim_of(task->status))) return task;
    if (attempt == 3)
      throw Error(Code::kUnavailable, "task of container \"" + ref.id +
                                          "\": its shim has died, and its bundle is being held");
    settle(core, ref.ns, ref.id, wait);  // then there is an exit file, or no task
  }
}

Task get_task(Core& core, const TaskRef& ref, const Wait& wait) {
  auto task = find_task(core, ref, wait);
  if (!task) throw_none(core, ref, wait);
  return std::move(*task);
}

Task get_live_task(Core& core, const TaskRef& ref, const Wait& wait) {
  Task task = get_task(core, ref, wait);
  if (task.exit) throw task_has_ended(ref.id);
  return task;
}

Error task_has_ended(const std::string& id) {
  return failed_precondition("container \"" + id + "\": its task has ended", Kind::kTask)
      .with("id", id);
}

TaskOrExit get_task_or_exit(Core& core, const TaskRef& ref, const Wait& wait) {
  TaskOrExit found;
  found.task = find_task(core, ref, wait);
  auto exit = found.task ? found.task->exit : find_kept_exit(core, ref);
  if (!found.task && !exit) throw_none(core, ref, wait);
  if (exit) found.exit = exit_status(*exit);
  return found;
}

std::string read_config(const Task& task) {
  return read_file_at(task.dir.get(), api::kConfigFile, kMaxConfig);
}

ProcessKey shim_of(const api::StatusFile& status) {
  return {static_cast<pid_t>(status.shim_pid), status.shim_start, status.boot_id};
}

ProcessKey init_of(const api::StatusFile& status) {
  return {static_cast<pid_t>(status.pid), status.pid_start, status.boot_id};
}

ExitStatus exit_status(const api::ExitFile& file) {
  ExitStatus exit = said_by_shim(file);
  exit.lost = static_cast<Lost>(file.lost);
  return exit;
}

ExitStatus exit_status(const api::ExitInfo& info) { return said_by_shim(info); }

namespace {

// The freezer's own word: others may freeze and thaw too.
TaskStatus frozen_or_not(const Task& task) {
  return cgroup_frozen(task.status.cgroups_path) ? TaskStatus::kPaused : TaskStatus::kRunning;
}

}  // namespace

TaskStatus task_status(const Task& task) {
  if (task.exit) return TaskStatus::kStopped;
  TaskStatus said = task_status(task.status.status);
  bool runs = said == TaskStatus::kRunning || said == TaskStatus::kPaused;
  return runs ? frozen_or_not(task) : said;
}

TaskStatus task_status(api::Status status) {
  switch (status) {
    case api::Status::kCreated:
      return TaskStatus::kCreated;
    case api::Status::kRunning:
      return TaskStatus::kRunning;
    case api::Status::kPaused:
      return TaskStatus::kPaused;
    case api::Status::kPausing:
      return TaskStatus::kPausing;
    case api::Status::kStopped:
      return TaskStatus::kStopped;
    case api::Status::kUnknown:
      break;
  }
  return TaskStatus::kUnknown;
}

int live_pid(const Task& task) { return task.exit ? 0 : static_cast<int>(task.status.pid); }

}  // namespace ctrd::engine
