// SPDX-License-Identifier: Apache-2.0
// What the bindings see: one engine on one root. One method a verb, one crossing. Every verb takes
// a Wait, is safe from any thread, and leaves nothing half-made when it throws. Paths of a call,
// what is written where, and who recovers what: cpp/README.md 4 and 5 (design.md 3, 5, 10).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "content/content.h"
#include "engine/values.h"

namespace ctrd::engine {

struct Config {
  std::string root = "/var/lib/ctrd";
  std::string state;  // "": /run/ctrd/<12 hex of the root's device and inode>
  std::string runtime = "auto", snapshotter = "auto";
  std::string shim;  // absolute path of containerd-shim-ctrd-v2
  Nanos lock_timeout = std::chrono::seconds(30);
  Nanos rpc_timeout = std::chrono::seconds(60);
  Nanos checkpoint_timeout = std::chrono::seconds(600);  // of a dump, and of a restore
  int64_t log_max = 64ll << 20;
};

using Labels = std::map<std::string, std::string>;
using LabelChange = std::map<std::string, std::optional<std::string>>;  // nullopt removes

class Logs {  // one reader; not shared between threads
 public:
  virtual ~Logs() = default;
  // nullopt: the end (not following: what is there now; following: the task has ended and all is
  // read). Throws kDeadlineExceeded at wait's deadline.
  virtual std::optional<LogLine> next(const Wait& wait) = 0;
};

class EventStream {  // one reader; close() from any thread
 public:
  virtual ~EventStream() = default;
  // nullopt: all that there was is read, and it does not follow. Throws kDeadlineExceeded at wait's
  // deadline; kNotFound when so much has come that the next one is no longer kept;
  // kFailedPrecondition once it or its engine is closed, kFork in a forked child.
  virtual std::optional<EventInfo> next(const Wait& wait) = 0;
  // Readable when next() may have something: then next() until it has not. Belongs to the stream.
  virtual int fd() = 0;
  virtual void close() = 0;
};

class Snapshots;  // engine/snapshots.h

class Engine {
 public:
  // Checks and makes the directories (D8 90: owned by someone else or writable by others
  // kPermissionDenied), takes no lock. The first verb checks the state token and recovers.
  static std::shared_ptr<Engine> open(const Config& config);
  virtual ~Engine() =
      default;  // does not close(): a forked child or an interpreter's end decide that themselves

  virtual const std::string& root() const = 0;  // real paths
  virtual const std::string& state() const = 0;
  // Force-deletes what was made through this engine and still belongs to this process (lifetime
  // owner), all of it even if one fails (throws the first failure). Then every verb throws
  // kFailedPrecondition "engine is closed". Safe twice.
  virtual void close(const Wait& wait) = 0;
  virtual bool closed() const = 0;

  virtual ContainerInfo create(const std::string& ns, const CreateOptions& options,
                               const Wait& wait) = 0;
  virtual ContainerInfo get(const std::string& ns, const std::string& id,
                            const Wait& wait) = 0;  // kNotFound (Kind::kContainer)
  // The same; if the records are damaged (kDataLoss, kRoot), or have lost it though its task is
  // there, by its task: id, status and pid, with which it can be ended.
  virtual ContainerInfo find(const std::string& ns, const std::string& id, const Wait& wait) = 0;
  virtual bool contains(const std::string& ns, const std::string& id, const Wait& wait) = 0;
  // Filters are checked before anything is read; what does not match takes no memory.
  virtual std::vector<ContainerInfo> list(const std::string& ns, const ListOptions& options,
                                          const Wait& wait) = 0;
  // Limits that the kernel or the runtime refuses (memory below what is used:
  // kFailedPrecondition): nothing has changed, in the record and in the task.
  virtual ContainerInfo update(const std::string& ns, const std::string& id,
                               const RecordChange& change, const Wait& wait) = 0;
  virtual std::string spec(const std::string& ns, const std::string& id,
                           const Wait& wait) = 0;  // JSON, as stored
  // Live task (created, running, paused): kFailedPrecondition (Kind::kTask) unless force. A stopped
  // task goes with it. Absent: kNotFound, or false with missing_ok.
  virtual bool remove(const std::string& ns, const std::string& id, bool force, bool missing_ok,
                      const Wait& wait) = 0;
  // Namespaces: records with labels. They come into being with their first object.
  virtual void create_namespace(const std::string& ns, const Labels& labels,
                                const Wait& wait) = 0;  // kAlreadyExists
  virtual std::vector<std::string> namespaces(const Wait& wait) = 0;
  virtual Labels namespace_labels(const std::string& ns, const Wait& wait) = 0;  // unknown: none
  virtual void update_namespace(const std::string& ns, const LabelChange& change,
                                const Wait& wait) = 0;
  // kNotFound; kFailedPrecondition naming what remains in it.
  virtual void remove_namespace(const std::string& ns, const Wait& wait) = 0;
  virtual void detach(const std::string& ns, const std::string& id, const Wait& wait) = 0;

  // A stopped task there: kAlreadyExists unless replace_stopped (Container.start), which deletes it
  // first. A live one: kAlreadyExists (Kind::kTask).
  virtual NewTask create_task(const std::string& ns, const std::string& id, const Stdio& stdio,
                              bool replace_stopped, const Wait& wait) = 0;
  virtual void start_task(
      const TaskRef& task,
      const Wait& wait) = 0;  // kFailedPrecondition unless created; kNotFound (Kind::kTask) if none
  // Once it has run for so long, the shim kills it with all that it has forked (timed_out).
  // kFailedPrecondition unless created.
  virtual void limit_task(const TaskRef& task, Nanos timeout, const Wait& wait) = 0;
  // Blocks until it has ended; kDeadlineExceeded at wait's deadline; works from any process, after
  // the end, and after the shim was killed (lost). A container that never had a task: kNotFound
  // (kTask).
  virtual ExitStatus wait_task(const TaskRef& task, const Wait& wait) = 0;
  virtual std::optional<ExitStatus> poll_task(const TaskRef& task, const Wait& wait) = 0;
  virtual TaskState task_state(const TaskRef& task, const Wait& wait) = 0;
  virtual TaskInfo task_info(const TaskRef& task, const Wait& wait) = 0;
  virtual std::vector<TaskProcess> task_processes(const TaskRef& task, const Wait& wait) = 0;
  // From cgroup files. kNotFound (kTask) when it has ended.
  virtual TaskStats task_stats(const TaskRef& task, const Wait& wait) = 0;
  // pid: another process of this container (host pid), checked to be in its cgroup. Ended: does
  // nothing.
  virtual void kill_task(const TaskRef& task, int signal, std::optional<int> pid, bool all,
                         const Wait& wait) = 0;
  // Freezes every process; kFailedPrecondition (Kind::kTask) unless it runs. A kill with SIGKILL
  // ends a paused one, any other signal waits in it until it is resumed.
  virtual void pause_task(const TaskRef& task, const Wait& wait) = 0;
  // kFailedPrecondition unless paused.
  virtual void resume_task(const TaskRef& task, const Wait& wait) = 0;
  // A paused one is resumed. signal, then after grace SIGKILL (escalated). Returns the exit.
  // created: SIGKILL at once.
  virtual ExitStatus stop_task(const TaskRef& task, int signal, Nanos grace, const Wait& wait) = 0;
  // What a pipe's reader has not taken yet is passed on first, for two seconds at most: output_cut.
  virtual ExitStatus delete_task(const TaskRef& task, bool force, const Wait& wait) = 0;
  virtual TaskStatus status(const std::string& ns, const std::string& id,
                            const Wait& wait) = 0;  // from files

  // One more process in a task that is created or running; not once it has ended
  // (kFailedPrecondition). kAlreadyExists: an exec of that id is there. With start it runs when
  // this returns; if that fails nothing of it is left.
  virtual NewProcess exec_process(const TaskRef& task, const ExecOptions& options,
                                  const Stdio& stdio, const Wait& wait) = 0;
  // Exec, start, read streams and wait, delete. At run.timeout the shim has killed it and all that
  // it forked: kDeadlineExceeded with context "timed_out", the partial result in *partial.
  virtual RunResult run_process(const TaskRef& task, const ExecOptions& options,
                                const RunOptions& run, const Wait& wait, RunResult* partial) = 0;
  // Of an exec that exec_process did not start: io is what it gave; *in, our end of its stdin,
  // becomes one whose reader is the shim alone, and stays as it is if this fails. Returns the host
  // pid.
  virtual int start_process(const ProcessRef& process, const std::string& io, UniqueFd* in,
                            const Wait& wait) = 0;
  // Of an exec, as those of a task. kNotFound: kProcess, once it was deleted; kTask. If the shim
  // was killed, they ended as their task.
  virtual ExitStatus wait_process(const ProcessRef& process, const Wait& wait) = 0;
  virtual std::optional<ExitStatus> poll_process(const ProcessRef& process, const Wait& wait) = 0;
  virtual TaskState process_state(const ProcessRef& process, const Wait& wait) = 0;
  // Ended: does nothing. Not started: kFailedPrecondition.
  virtual void kill_process(const ProcessRef& process, int signal, const Wait& wait) = 0;
  // What it printed last is passed on first, for two seconds at most (output_cut). Running:
  // kFailedPrecondition.
  virtual ExitStatus delete_process(const ProcessRef& process, const std::string& io,
                                    const Wait& wait) = 0;
  // The program reads the end of its input once everything written to the FIFO has been read and
  // its writers are gone. Without a PIPE, and after the end: does nothing.
  virtual void close_stdin(const ProcessRef& process, const Wait& wait) = 0;
  // Of its tty; kFailedPrecondition if it has none. Before start it is remembered.
  virtual void resize(const ProcessRef& process, uint32_t cols, uint32_t rows,
                      const Wait& wait) = 0;
  // What comes from options.in goes to it, what it prints to options.out and err, until it has
  // ended or the detach keys are typed at a terminal (nullopt). A terminal at options.in is raw
  // meanwhile if the process has a tty, whose size follows. *in: our end of its stdin if we have
  // it, closed when the input ends.
  virtual std::optional<ExitStatus> attach(const ProcessRef& process, const AttachOptions& options,
                                           UniqueFd* in, const Wait& wait) = 0;
  // A descriptor that is readable once it has ended: the socket of a Wait of its own, parked in the
  // shim. What can be read from it is nobody's business. kUnavailable: the shim has no place left.
  virtual UniqueFd park_wait(const ProcessRef& process, const Wait& wait) = 0;
  // Whichever process of this task has this id or host pid.
  virtual ProcessInfo find_process(const ProcessRef& process, const Wait& wait) = 0;

  // create, create_task, start, read streams and wait, delete both. At options.timeout:
  // kDeadlineExceeded with context "timed_out" after everything is gone; the partial result in
  // *partial.
  virtual RunResult run(const std::string& ns, const CreateOptions& create,
                        const RunOptions& options, const Wait& wait, RunResult* partial) = 0;

  virtual std::unique_ptr<Logs> logs(const std::string& ns, const std::string& id,
                                     const LogOptions& options,
                                     const Wait& wait) = 0;  // kNotFound (kTask) without a log
  // Blobs and ingests. It, and its writers, must not outlive the engine.
  virtual content::Content& content(const Wait& wait) = 0;
  // The same of snapshots, and of their mounts.
  virtual Snapshots& snapshots(const Wait& wait) = 0;
  // Events of all namespaces. The subscription begins before this returns. The stream must not
  // outlive the engine. kNotFound: what since_seq asks for is no longer kept.
  virtual std::unique_ptr<EventStream> events(const EventOptions& options, const Wait& wait) = 0;
  virtual std::vector<Check> doctor(const Wait& wait) = 0;
  // Idempotent; any process, any time: settles dead tasks (claim free, bundle there), removes what
  // dead owners left, empties the trash.
  virtual void recover(const Wait& wait) = 0;
};

// doctor without an engine: what a root at these paths would find.
std::vector<Check> doctor(const Config& config, const Wait& wait);

}  // namespace ctrd::engine
