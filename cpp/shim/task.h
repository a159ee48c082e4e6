// SPDX-License-Identifier: Apache-2.0
// The one task of this shim: the state machine of its init process, created -> running <-> paused
// -> stopped -> deleted, and the table of its execs. Verbs of init that run a runtime hold the
// lock, one at a time; queries, kill and execs never wait for them. When init ends, whatever else
// goes on, settle() ends the rest, drains the output that is kept, writes the exit file and only
// then answers Wait; Delete drains what a client reads. Source: shim-protocol.md 3.3 to 3.6.
#pragma once

#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/bundle.h"
#include "api/checkpoint.h"
#include "api/task.h"
#include "shim/bundle.h"
#include "shim/execs.h"
#include "shim/oom_watch.h"
#include "shim/stdio.h"
#include "shim/task_side.h"
#include "ttrpc/server.h"

namespace ctrd::shim {

// Of a task, for as long as its caller's connection lasts.
struct Hold {
  std::shared_ptr<ttrpc::Caller> caller;
  bool over = false;   // the caller has gone, perhaps before it came to be
  bool froze = false;  // it had to: else the task was paused
};

class Task {
 public:
  Task(asio::io_context& loop, Reaper& reaper, Bundle bundle, std::string id,
       TaskLimits limits = {}, Client client = {});

  // Throws kAlreadyExists if there is one; on any failure nothing is left and a later create may
  // succeed.
  asio::awaitable<api::CreateResponse> create(api::CreateRequest request, TimePoint deadline);
  asio::awaitable<api::StartResponse> start();
  // Ends a created one first. Throws kFailedPrecondition while it runs.
  asio::awaitable<api::ExitInfo> remove();
  // Parked until the task has stopped; ends with its caller.
  asio::awaitable<api::ExitInfo> wait();
  // The owner has gone or we were told to end: kills whatever there is, in whatever state, and
  // removes all but status and exit. patient: a runtime that is just deleting is waited for.
  asio::awaitable<void> end(bool patient = false);

  // Throws kFailedPrecondition unless it runs; kUnavailable, kInternal: what the runtime says.
  asio::awaitable<void> pause();
  asio::awaitable<void> resume();
  // resources: JSON of the runtime spec's linux.resources.
  asio::awaitable<void> update(std::string resources);
  // Dumps it to the directory path; it ends if the options say so, else goes on as it was: a
  // failure leaves it so too. Throws kFailedPrecondition unless it runs or is paused, or if another
  // caller holds it; and criu_error().
  asio::awaitable<void> checkpoint(api::CheckpointTaskRequest request, const ttrpc::Caller* caller);
  // Frozen, for one caller at a time, until let_go(); what was paused stays so after it. pause()
  // and resume() of others wait for that. Throws as checkpoint().
  asio::awaitable<void> hold(std::shared_ptr<Hold> hold);
  // Does nothing for a hold that is not the one there is.
  asio::awaitable<void> let_go(std::shared_ptr<Hold> hold);

  // SIGKILL thaws: what is paused dies of it. Other signals are kept until it is resumed.
  void kill(uint32_t signal, bool all);
  // SIGKILL to all, after a signal that did not end it: the exit file will say so.
  void escalate();
  // Has no owner any more, and its status file says so.
  void detach();
  void close_stdin();
  // Does nothing without a terminal, and after the end.
  void resize(Size size);
  void limit(int64_t timeout_ns);
  api::StateResponse state() const;
  api::PidsResponse pids() const;
  // Throws kNotFound when its cgroup has gone: it has ended, or is not known to have one.
  api::StatsResponse stats() const;
  uint32_t pid() const { return static_cast<uint32_t>(pid_); }  // 0: none
  bool exists() const { return status_ != api::Status::kUnknown; }
  Execs& execs() { return execs_; }
  api::Status status() const { return status_; }
  const api::Options& options() const { return side_.options; }
  const std::string& id() const { return side_.id; }
  Publisher& publisher() { return side_.publisher; }

 private:
  // task_create.cpp
  void check_id_is_free() const;
  void check_made(const oci::Command& command, const oci::Outcome& outcome);
  asio::awaitable<void> make(const api::CreateRequest& request, TimePoint deadline);
  asio::awaitable<void> make_process(const api::CreateRequest& request);
  asio::awaitable<void> run_create(std::string console_socket);
  std::exception_ptr read_config();
  void claim_cgroup(std::string path, const std::vector<pid_t>& members);
  void claim_cgroup_of_init();
  void adopt_init(const Reaper::Keep& keep);
  asio::awaitable<void> roll_back();
  void watch_oom();
  // task_checkpoint.cpp
  asio::awaitable<Lock::Guard> acquire_for(const ttrpc::Caller* by);
  asio::awaitable<Lock::Guard> acquire_unheld();
  asio::awaitable<void> freeze();
  asio::awaitable<void> unfreeze();
  // task_restore.cpp
  void prepare_restore(const api::CreateRequest& request);
  asio::awaitable<void> restore();
  asio::awaitable<void> undo_restore();
  asio::awaitable<void> start_restored();
  void take_layer();
  void kill_unstarted(uint32_t signal);
  void end_unstarted(int signal);
  asio::awaitable<void> settle_unstarted();
  bool awaits_restore() const {  // Create has prepared it, Start will restore it
    return status_ == api::Status::kCreated && !request_.checkpoint.empty() && pid_ == 0;
  }
  // task_exit.cpp
  asio::awaitable<void> settle();
  asio::awaitable<void> end_the_rest();
  asio::awaitable<bool> drain(Stdio::Output which);
  asio::awaitable<void> watch_limit(TimePoint deadline);
  void limit_time();
  void kill_all();
  void stop();
  void saw_oom(uint64_t kills);
  void publish_created();
  void publish_exit();
  void publish_deleted();
  // task_pause.cpp
  void set_status(api::Status status);
  void thaw();
  asio::awaitable<void> resume_by_runtime();
  void check_freezable() const;
  bool is_frozen() const;
  asio::awaitable<void> await_frozen();
  void check_takes_execs() const;
  // task_delete.cpp
  asio::awaitable<void> kill_and_wait();
  void clean();
  void forget();

  std::vector<pid_t> all_pids() const;
  std::string cgroup() const;       // that it is in, also if others are in there with it; "": none
  void require() const;             // throws kNotFound kTask
  api::ExitInfo exit_info() const;  // once it has stopped
  api::StatusFile status_file() const;

  TaskSide side_;
  Execs execs_{side_};
  Lock lock_;  // of create, start, remove, end, pause, resume, update
  Event changed_;
  bool ending_ = false;

  api::Status status_ = api::Status::kUnknown;  // kUnknown: there is no task
  api::CreateRequest request_;
  std::optional<Stdio> stdio_;
  std::optional<OomWatch> oom_watch_;
  pid_t pid_ = 0;
  uint64_t pid_start_ = 0;
  UniqueFd pidfd_;  // of init, until it is reaped
  bool starting_ = false;
  api::CriuOptions restoring_;
  std::shared_ptr<Hold> held_;
  bool timed_out_ = false, escalated_ = false, oom_killed_ = false, output_cut_ = false;
  bool killed_ = false;       // by SIGKILL, from us: it must not stay frozen
  bool runtime_ran_ = false;  // create or restore was executed: there may be something to delete
  int64_t created_ns_ = api::kNotYet, started_ns_ = api::kNotYet;
  std::optional<Ended> ended_;  // init was reaped; status_ follows when all is settled
};

}  // namespace ctrd::shim
