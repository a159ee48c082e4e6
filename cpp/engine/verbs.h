// SPDX-License-Identifier: Apache-2.0
// The verbs, one function each; Engine's methods are these after Core::enter. Contracts: engine.h.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/claim.h"
#include "engine/core.h"
#include "engine/task.h"

namespace ctrd::engine {

// create.cpp. A record that is going to be made: everything that can be refused is refused here.
struct Draft {
  metadata::Container record;
  std::string spec;
  std::string base = {};  // the snapshot it is made of
};
Draft draft_container(Core& core, const std::string& ns, const CreateOptions& options,
                      const Wait& wait);
// One synced batch. Removes an abandoned container of that id; with `replace` it takes the place of
// any that is not another live process's, whose task ends if nothing is refused.
metadata::Container write_record(Core& core, const std::string& ns, const Draft& draft,
                                 bool replace, const Wait& wait);
// For a container of this id: an abandoned one goes; then kAlreadyExists if there is one, but with
// `replace` only if it is another live process's (kAborted): else it is write_record's.
void make_way(Core& core, const std::string& ns, const std::string& id, bool replace,
              const Wait& wait);
ContainerInfo create(Core& core, const std::string& ns, const CreateOptions& options,
                     const Wait& wait);

// containers.cpp
ContainerInfo get(Core& core, const std::string& ns, const std::string& id, const Wait& wait);
// By its task alone, when the records cannot be read: enough to end it. nullopt: there is none.
std::optional<ContainerInfo> find_running(Core& core, const std::string& ns, const std::string& id,
                                          const Wait& wait);
bool contains(Core& core, const std::string& ns, const std::string& id, const Wait& wait);
std::vector<ContainerInfo> list(Core& core, const std::string& ns, const ListOptions& options,
                                const Wait& wait);
std::string spec(Core& core, const std::string& ns, const std::string& id, const Wait& wait);
TaskStatus status(Core& core, const std::string& ns, const std::string& id, const Wait& wait);
ContainerInfo describe(const metadata::Container& record);  // without status
// The OCI runtime's path, or the name of a shim that is not ours.
std::string runtime_of(const metadata::Container& record);
ContainerInfo with_status(Core& core, const std::string& ns, const metadata::Container& record,
                          const Wait& wait);

// update.cpp
ContainerInfo update(Core& core, const std::string& ns, const std::string& id,
                     const RecordChange& wanted, const Wait& wait);
// Throws kUnimplemented if a weight of a block device is asked for and this kernel has none.
void need_io_weight(const oci::ResourceOptions& resources);

// namespaces.cpp
void remove_namespace(Core& core, const std::string& ns, const Wait& wait);

// detach.cpp
void detach(Core& core, const std::string& ns, const std::string& id, const Wait& wait);

// remove.cpp
bool remove(Core& core, const std::string& ns, const std::string& id, bool force, bool missing_ok,
            const Wait& wait);
// Directories of what was removed; their trash keys go with the next batch. What is mounted, and
// what cannot be removed, stays with its key for the next recovery or collection.
void empty_trash(Core& core, const metadata::Removed& removed);

// sweep.cpp. True if the owner of this record has died: it may be removed by whoever meets it. Not
// if its task was detached: then the record is told so.
bool is_abandoned(Core& core, const std::string& ns, const metadata::Container& record,
                  const Wait& wait);
// An abandoned record, its task and its layer. False: its shim still has the claim at wait's
// deadline.
bool sweep(Core& core, const std::string& ns, const metadata::Container& record, const Wait& wait);
// The same; a shim that has not ended at wait's deadline, though its owner has, is killed.
bool sweep_by_force(Core& core, const std::string& ns, const metadata::Container& record,
                    const Wait& wait);
// on_exit="delete", and it has ended: container, layer and task go, except its exit status.
bool has_expired(const Task& task);
// False: somebody else (its shim, for a moment) has the claim at wait's deadline.
bool sweep_expired(Core& core, const std::string& ns, const std::string& id, const Wait& wait);
// The same if it is such a task, for those who have an answer to give: what fails is only logged.
void sweep_expired_quietly(Core& core, const Task& task, const Wait& wait);
// A bundle that we have claimed, with such a task in it.
void sweep_claimed(Core& core, Claim claim);

// delete_task.cpp
struct Ended {
  ExitStatus exit;
  std::optional<Claim> claim;  // of the bundle, to be discarded; absent: somebody else did
  bool expires = false;        // on_exit="delete": its container may be gone already
};
// Ends the task (live ones only by force), up to the removal of its bundle. nullopt: there is none.
// `meanwhile` is called once, while the runtime deletes.
std::optional<Ended> end_task(Core& core, const TaskRef& ref, bool force, const Wait& wait,
                              const std::function<void()>& meanwhile = {});
ExitStatus delete_task(Core& core, const TaskRef& ref, bool force, const Wait& wait);
// Discards at the end of its scope, whatever happens; what goes wrong is logged.
class Discard {
 public:
  Discard(Core& core, std::optional<Claim> claim) : core_(core), claim_(std::move(claim)) {}
  Discard(const Discard&) = delete;
  ~Discard();

 private:
  Core& core_;
  std::optional<Claim> claim_;
};

// create_task.cpp
NewTask create_task(Core& core, const std::string& ns, const std::string& id, const Stdio& stdio,
                    bool replace_stopped, const Wait& wait);

// task_verbs.cpp
void start_task(Core& core, const TaskRef& ref, const Wait& wait);
void limit_task(Core& core, const TaskRef& ref, Nanos timeout, const Wait& wait);
TaskState task_state(Core& core, const TaskRef& ref, const Wait& wait);
TaskInfo task_info(Core& core, const TaskRef& ref, const Wait& wait);
std::optional<ExitStatus> poll_task(Core& core, const TaskRef& ref, const Wait& wait);

// pause_task.cpp
void pause_task(Core& core, const TaskRef& ref, const Wait& wait);
void resume_task(Core& core, const TaskRef& ref, const Wait& wait);

// processes.cpp
std::vector<TaskProcess> task_processes(Core& core, const TaskRef& ref, const Wait& wait);
// stats.cpp
TaskStats task_stats(Core& core, const TaskRef& ref, const Wait& wait);

// wait_task.cpp
ExitStatus wait_task(Core& core, const TaskRef& ref, const Wait& wait);
// kill_task.cpp
void kill_task(Core& core, const TaskRef& ref, int signal, std::optional<int> pid, bool all,
               const Wait& wait);
ExitStatus stop_task(Core& core, const TaskRef& ref, int signal, Nanos grace, const Wait& wait);

// exec.cpp
NewProcess exec_process(Core& core, const TaskRef& ref, const ExecOptions& options,
                        const Stdio& stdio, const Wait& wait);
// run_process.cpp
RunResult run_process(Core& core, const TaskRef& ref, const ExecOptions& options,
                      const RunOptions& run, const Wait& wait, RunResult* partial);

// process.cpp: of an exec; close_stdin and resize of a first process too.
int start_process(Core& core, const ProcessRef& ref, const std::string& io, UniqueFd* in,
                  const Wait& wait);
ExitStatus wait_process(Core& core, const ProcessRef& ref, const Wait& wait);
std::optional<ExitStatus> poll_process(Core& core, const ProcessRef& ref, const Wait& wait);
TaskState process_state(Core& core, const ProcessRef& ref, const Wait& wait);
void kill_process(Core& core, const ProcessRef& ref, int signal, const Wait& wait);
ExitStatus delete_process(Core& core, const ProcessRef& ref, const std::string& io,
                          const Wait& wait);
void close_stdin(Core& core, const ProcessRef& ref, const Wait& wait);
void resize(Core& core, const ProcessRef& ref, uint32_t cols, uint32_t rows, const Wait& wait);
ProcessInfo find_process(Core& core, const ProcessRef& ref, const Wait& wait);
// The FIFO that the shim keeps open for whoever attaches; closed: it reads nothing.
UniqueFd open_kept_stdin(Core& core, const ProcessRef& ref, const Wait& wait);
UniqueFd park_wait(Core& core, const ProcessRef& ref, const Wait& wait);
// Killed if it runs, with all that it forked if it has a limit, and deleted.
void end_process(Core& core, const Task& task, const std::string& exec, const Wait& wait);

// attach.cpp
std::optional<ExitStatus> attach(Core& core, const ProcessRef& ref, const AttachOptions& options,
                                 UniqueFd* in, const Wait& wait);

// run.cpp
RunResult run(Core& core, const std::string& ns, const CreateOptions& create,
              const RunOptions& options, const Wait& wait, RunResult* partial);
// logs.cpp
std::unique_ptr<Logs> open_logs(Core& core, const std::string& ns, const std::string& id,
                                const LogOptions& options, const Wait& wait);
// events_stream.cpp
std::unique_ptr<EventStream> open_events(Core& core, const EventOptions& options);
// doctor.cpp
std::vector<Check> doctor(Core& core, const Wait& wait);

}  // namespace ctrd::engine
