// SPDX-License-Identifier: Apache-2.0
// A task as its files tell it: the bundle's directory (which is this one instance, whatever its
// name is given to later), the status and the exit file.
#pragma once

#include <optional>
#include <string>

#include "api/bundle.h"
#include "base/error.h"
#include "base/process.h"
#include "engine/core.h"

namespace ctrd::engine {

struct Task {
  UniqueFd dir;
  std::string ns, id;
  api::StatusFile status;
  std::optional<api::ExitFile> exit;  // it has ended
};

// What the files say; those that a power loss has made unreadable are logged, and as if absent.
std::optional<api::StatusFile> readable_status(int bundle);
std::optional<api::ExitFile> readable_exit(int bundle);
// What the bundle's status file says, as it is.
std::optional<api::StatusFile> find_status(const Core& core, const std::string& ns,
                                           const std::string& id);
// nullopt: no task, or another instance than the one asked for, or one that is still being made.
// One whose shim has died is settled first. Throws kDataLoss: a shim is there, but its status
// cannot be read.
std::optional<Task> find_task(Core& core, const TaskRef& ref, const Wait& wait);
// Throws kNotFound: kTask, or kContainer if there is no such container and no instance was asked
// for.
Task get_task(Core& core, const TaskRef& ref, const Wait& wait);

// The same, of a task that lives. Throws task_has_ended().
Task get_live_task(Core& core, const TaskRef& ref, const Wait& wait);
Error task_has_ended(const std::string& id);  // kFailedPrecondition, kTask

// As get_task; if only its exit is left (exits.h), that.
struct TaskOrExit {
  std::optional<Task> task;
  std::optional<ExitStatus> exit;  // it has ended, with a bundle still there or not
};
TaskOrExit get_task_or_exit(Core& core, const TaskRef& ref, const Wait& wait);

// The spec that its runtime was told at creation.
inline constexpr std::size_t kMaxConfig = 16u << 20;
std::string read_config(const Task& task);

ProcessKey shim_of(const api::StatusFile& status);
ProcessKey init_of(const api::StatusFile& status);
ExitStatus exit_status(const api::ExitFile& file);
ExitStatus exit_status(const api::ExitInfo& info);
TaskStatus task_status(const Task& task);
TaskStatus task_status(api::Status status);
int live_pid(const Task& task);  // 0 when it has ended

}  // namespace ctrd::engine
