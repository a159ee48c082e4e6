// SPDX-License-Identifier: Apache-2.0
// The class that the bindings hold: each method enters the core and calls its verb.
#include "engine/engine.h"

#include "base/error.h"
#include "base/log.h"
#include "base/process.h"
#include "engine/checkpoint.h"
#include "engine/core.h"
#include "engine/fork.h"
#include "engine/fsck.h"
#include "engine/snapshots.h"
#include "engine/verbs.h"

namespace ctrd::engine {
namespace {

// The store cannot be opened, or not be read.
bool is_damaged(const Error& error) {
  return error.code() == Code::kDataLoss && error.kind() == Kind::kRoot;
}

class Entered final : public Engine {
 public:
  Core& entered(const Wait& wait) { return enter(wait); }
  Core& unentered() {
    core_.check();
    return core_;
  }
  explicit Entered(const Config& config) : core_(config) {}

  const std::string& root() const override { return core_.root.path; }
  const std::string& state() const override { return core_.root.state_path; }
  void close(const Wait& wait) override { engine::close(core_, wait); }
  bool closed() const override { return core_.closed; }

  ContainerInfo create(const std::string& ns, const CreateOptions& options,
                       const Wait& wait) override {
    return engine::create(enter(wait), ns, options, wait);
  }
  ContainerInfo get(const std::string& ns, const std::string& id, const Wait& wait) override {
    return sparing(wait, [&] { return engine::get(core_, ns, id, wait); });
  }
  ContainerInfo find(const std::string& ns, const std::string& id, const Wait& wait) override {
    try {
      return get(ns, id, wait);
    } catch (const Error& error) {
      bool has_none = error.code() == Code::kNotFound;
      if (!is_damaged(error) && !has_none) throw;
      if (has_none && core_.containers.find(ns, id, wait)) throw;  // its owner has died: it goes
      auto info = engine::find_running(core_, ns, id, wait);
      if (!info || (has_none && !start_time(info->pid))) throw;
      return *info;
    }
  }
  bool contains(const std::string& ns, const std::string& id, const Wait& wait) override {
    return sparing(wait, [&] { return engine::contains(core_, ns, id, wait); });
  }
  std::vector<ContainerInfo> list(const std::string& ns, const ListOptions& options,
                                  const Wait& wait) override {
    return sparing(wait, [&] { return engine::list(core_, ns, options, wait); });
  }
  ContainerInfo update(const std::string& ns, const std::string& id, const RecordChange& change,
                       const Wait& wait) override {
    return engine::update(enter(wait), ns, id, change, wait);
  }
  std::string spec(const std::string& ns, const std::string& id, const Wait& wait) override {
    return engine::spec(enter(wait), ns, id, wait);
  }
  bool remove(const std::string& ns, const std::string& id, bool force, bool missing_ok,
              const Wait& wait) override {
    return sparing(wait, [&] { return engine::remove(core_, ns, id, force, missing_ok, wait); });
  }
  void create_namespace(const std::string& ns, const Labels& labels, const Wait& wait) override {
    enter(wait).namespaces.create(ns, labels, wait);
  }
  std::vector<std::string> namespaces(const Wait& wait) override {
    return enter(wait).namespaces.list(wait);
  }
  Labels namespace_labels(const std::string& ns, const Wait& wait) override {
    return enter(wait).namespaces.labels(ns, wait);
  }
  void update_namespace(const std::string& ns, const LabelChange& change,
                        const Wait& wait) override {
    enter(wait).namespaces.update(ns, change, wait);
  }
  void remove_namespace(const std::string& ns, const Wait& wait) override {
    engine::remove_namespace(enter(wait), ns, wait);
  }
  void detach(const std::string& ns, const std::string& id, const Wait& wait) override {
    engine::detach(enter(wait), ns, id, wait);
  }

  NewTask create_task(const std::string& ns, const std::string& id, const Stdio& stdio,
                      bool replace_stopped, const Wait& wait) override {
    return engine::create_task(enter(wait), ns, id, stdio, replace_stopped, wait);
  }
  void start_task(const TaskRef& task, const Wait& wait) override {
    engine::start_task(enter(wait), task, wait);
  }
  void limit_task(const TaskRef& task, Nanos timeout, const Wait& wait) override {
    engine::limit_task(enter(wait), task, timeout, wait);
  }
  ExitStatus wait_task(const TaskRef& task, const Wait& wait) override {
    return engine::wait_task(enter_task(wait), task, wait);
  }
  std::optional<ExitStatus> poll_task(const TaskRef& task, const Wait& wait) override {
    return engine::poll_task(enter_task(wait), task, wait);
  }
  TaskState task_state(const TaskRef& task, const Wait& wait) override {
    return engine::task_state(enter_task(wait), task, wait);
  }
  TaskInfo task_info(const TaskRef& task, const Wait& wait) override {
    return engine::task_info(enter(wait), task, wait);
  }
  std::vector<TaskProcess> task_processes(const TaskRef& task, const Wait& wait) override {
    return engine::task_processes(enter_task(wait), task, wait);
  }
  TaskStats task_stats(const TaskRef& task, const Wait& wait) override {
    return engine::task_stats(enter_task(wait), task, wait);
  }
  void kill_task(const TaskRef& task, int signal, std::optional<int> pid, bool all,
                 const Wait& wait) override {
    engine::kill_task(enter_task(wait), task, signal, pid, all, wait);
  }
  void pause_task(const TaskRef& task, const Wait& wait) override {
    engine::pause_task(enter(wait), task, wait);
  }
  void resume_task(const TaskRef& task, const Wait& wait) override {
    engine::resume_task(enter(wait), task, wait);
  }
  ExitStatus stop_task(const TaskRef& task, int signal, Nanos grace, const Wait& wait) override {
    return engine::stop_task(enter_task(wait), task, signal, grace, wait);
  }
  ExitStatus delete_task(const TaskRef& task, bool force, const Wait& wait) override {
    return sparing(wait, [&] { return engine::delete_task(core_, task, force, wait); });
  }
  TaskStatus status(const std::string& ns, const std::string& id, const Wait& wait) override {
    return engine::status(enter_task(wait), ns, id, wait);
  }

  NewProcess exec_process(const TaskRef& task, const ExecOptions& options, const Stdio& stdio,
                          const Wait& wait) override {
    return engine::exec_process(enter(wait), task, options, stdio, wait);
  }
  RunResult run_process(const TaskRef& task, const ExecOptions& options, const RunOptions& run,
                        const Wait& wait, RunResult* partial) override {
    return engine::run_process(enter(wait), task, options, run, wait, partial);
  }
  int start_process(const ProcessRef& process, const std::string& io, UniqueFd* in,
                    const Wait& wait) override {
    return engine::start_process(enter(wait), process, io, in, wait);
  }
  ExitStatus wait_process(const ProcessRef& process, const Wait& wait) override {
    return engine::wait_process(enter(wait), process, wait);
  }
  std::optional<ExitStatus> poll_process(const ProcessRef& process, const Wait& wait) override {
    return engine::poll_process(enter(wait), process, wait);
  }
  TaskState process_state(const ProcessRef& process, const Wait& wait) override {
    return engine::process_state(enter(wait), process, wait);
  }
  void kill_process(const ProcessRef& process, int signal, const Wait& wait) override {
    engine::kill_process(enter(wait), process, signal, wait);
  }
  ExitStatus delete_process(const ProcessRef& process, const std::string& io,
                            const Wait& wait) override {
    return engine::delete_process(enter(wait), process, io, wait);
  }
  void close_stdin(const ProcessRef& process, const Wait& wait) override {
    engine::close_stdin(enter(wait), process, wait);
  }
  void resize(const ProcessRef& process, uint32_t cols, uint32_t rows, const Wait& wait) override {
    engine::resize(enter(wait), process, cols, rows, wait);
  }
  std::optional<ExitStatus> attach(const ProcessRef& process, const AttachOptions& options,
                                   UniqueFd* in, const Wait& wait) override {
    return engine::attach(enter(wait), process, options, in, wait);
  }
  UniqueFd park_wait(const ProcessRef& process, const Wait& wait) override {
    return engine::park_wait(enter(wait), process, wait);
  }
  ProcessInfo find_process(const ProcessRef& process, const Wait& wait) override {
    return engine::find_process(enter(wait), process, wait);
  }

  RunResult run(const std::string& ns, const CreateOptions& create, const RunOptions& options,
                const Wait& wait, RunResult* partial) override {
    return engine::run(enter(wait), ns, create, options, wait, partial);
  }
  std::unique_ptr<Logs> logs(const std::string& ns, const std::string& id,
                             const LogOptions& options, const Wait& wait) override {
    return open_logs(enter(wait), ns, id, options, wait);
  }
  content::Content& content(const Wait& wait) override { return enter(wait).content; }
  Snapshots& snapshots(const Wait& wait) override {
    enter(wait);
    return snapshots_;
  }
  std::unique_ptr<EventStream> events(const EventOptions& options, const Wait& wait) override {
    return open_events(enter(wait), options);
  }
  std::vector<Check> doctor(const Wait& wait) override {
    check_not_forked(core_.generation);
    return engine::doctor(core_, wait);
  }
  void recover(const Wait& wait) override {
    sparing(wait, [&] { engine::recover(core_, wait); });
  }

 private:
  Core& enter(const Wait& wait) {
    with_reserves(core_.root, [&] { core_.enter(wait); });  // recovers what crashes have left
    core_.root.state_reserve->keep();
    return core_;
  }
  // For what a task's files suffice: it can be ended when the records are damaged.
  Core& enter_task(const Wait& wait) {
    try {
      return enter(wait);
    } catch (const Error& error) {
      if (!is_damaged(error)) throw;
      log(Level::kWarning, error.message());
      return core_;
    }
  }
  // A verb that works on a full disk too.
  template <typename Verb>
  auto sparing(const Wait& wait, const Verb& verb) -> decltype(verb()) {
    enter(wait);
    return with_reserves(core_.root, verb);
  }
  Core core_;
  Snapshots snapshots_{core_};
};

}  // namespace

Core& core_of(Engine& engine, const Wait& wait) {
  return static_cast<Entered&>(engine).entered(wait);  // the only class there is
}

Core& core_unentered(Engine& engine) { return static_cast<Entered&>(engine).unentered(); }

std::shared_ptr<Engine> Engine::open(const Config& config) {
  install_fork_handler();
  return std::make_shared<Entered>(config);
}

}  // namespace ctrd::engine
