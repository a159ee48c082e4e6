// SPDX-License-Identifier: Apache-2.0
// One exec'ed process: added -> running -> stopped -> deleted. It is started by the runtime, like
// init, and reaped by us; several may be starting at once. Wait is answered at its exit; its output
// is passed on until Delete, which bounds that. Source: shim-protocol.md 3.3 to 3.6, api/task.h.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "api/bundle.h"
#include "api/task.h"
#include "base/error.h"
#include "shim/exec_cgroup.h"
#include "shim/reaper.h"
#include "shim/stdio.h"
#include "shim/task_side.h"

namespace ctrd::shim {

class Exec : public std::enable_shared_from_this<Exec> {
 public:
  // Opens stdin and files, which may be its client's descriptors and gone later; writes
  // process.json. Throws invalid for a process that cannot be.
  Exec(TaskSide& task, api::ExecProcessRequest request);
  Exec(const Exec&) = delete;

  // Throws kFailedPrecondition unless added; what the runtime says (then it may only be deleted).
  asio::awaitable<api::StartResponse> start(TimePoint deadline);
  // Its exit, when what it has written is in its files ("file:"; bounded as Delete is).
  asio::awaitable<api::ExitInfo> wait();
  // Drains, closes and removes its directory. Throws kFailedPrecondition while it is alive.
  asio::awaitable<api::ExitInfo> remove();
  // The task has been deleted under it.
  void abandon();

  // SIGKILL is remembered while it is being started: then it never runs on, and if it has not come
  // to its runtime yet its Start fails with kAborted. Others: kFailedPrecondition until it runs.
  // all: SIGKILL takes what it has forked too, if it has a time limit.
  void kill(uint32_t signal, bool all);
  void close_stdin() { stdio_.close_stdin(); }
  void resize(Size size);
  void limit(int64_t timeout_ns);
  api::StateResponse state(api::Status of_task) const;
  uint32_t pid() const { return static_cast<uint32_t>(pid_); }
  const std::string& id() const { return request_.exec_id; }
  bool is_starting() const { return starting_; }
  bool is_running() const { return status_ == api::Status::kRunning; }
  // Notified at each change.
  Event& changed() { return changed_; }

 private:
  // exec.cpp
  void write_process(const std::string& json);
  Error wrong_state(const std::string& verb) const;
  StdioPaths paths() const {
    return task_.stdio_paths({request_.stdin_path, request_.stdout_path, request_.stderr_path});
  }
  std::string dir() const { return std::string(api::kExecDir) + "/" + id(); }
  std::string name() const { return "process " + id() + " of task " + task_.id; }
  // exec_start.cpp
  asio::awaitable<void> open_stdio(TimePoint deadline);
  asio::awaitable<void> make(TimePoint deadline);
  oci::Command command(const std::optional<ConsoleSocket>& console) const;
  void make_cgroup();
  void apply_size();
  void adopt(const Reaper::Keep& keep);
  void try_adopt();
  asio::awaitable<void> give_up();
  // exec_exit.cpp
  static asio::awaitable<void> settle(std::shared_ptr<Exec> self);
  static asio::awaitable<void> watch_limit(std::shared_ptr<Exec> self, TimePoint deadline);
  void stop(const Ended& ended);
  void remove_cgroup();
  api::ExitInfo exit_info() const;

  TaskSide& task_;
  api::ExecProcessRequest request_;  // without its spec
  Stdio stdio_;
  ExecCgroup cgroup_;
  std::optional<Size> size_;  // asked for before there is a terminal
  int64_t timeout_ns_ = 0;

  api::Status status_ = api::Status::kCreated;
  bool starting_ = false, failed_ = false;
  bool timed_out_ = false, killed_ = false, output_cut_ = false, deleted_ = false;
  bool kill_tree_ = false;  // its cgroup with it
  pid_t pid_ = 0;
  UniqueFd pidfd_;  // until it is reaped
  int64_t started_ns_ = api::kNotYet;
  uint64_t oom_kills_ = 0;  // in the container, before it started
  bool oom_killed_ = false;
  std::optional<Ended> ended_;
  TimePoint flush_by_ = kForever;
  Event changed_;
};

}  // namespace ctrd::shim
