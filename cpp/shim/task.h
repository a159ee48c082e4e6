// SPDX-License-Identifier: Apache-2.0
// The one task of this shim: the state machine of its init process, created -> running -> stopped
// -> deleted. Verbs that run a runtime hold the lock, one at a time; queries and kill never wait.
// When init ends, whatever else goes on, settle() ends the rest, drains the output, writes the exit
// file and only then answers Wait. Source: shim-protocol.md 3.3 to 3.6.
#pragma once

#include <exception>
#include <optional>
#include <string>

#include "api/bundle.h"
#include "api/task.h"
#include "shim/bundle.h"
#include "shim/publisher.h"
#include "shim/reaper.h"
#include "shim/runner.h"
#include "shim/stdio.h"

namespace ctrd::shim {

struct TaskLimits {
  Nanos fifo = std::chrono::seconds(10);  // for a reader to come
  Nanos kill = std::chrono::seconds(5);   // for SIGKILLed processes to go
  std::optional<Nanos> verb;              // instead of oci::verb_deadline
};

class Task {
 public:
  Task(asio::io_context& loop, Reaper& reaper, Bundle bundle, std::string id,
       TaskLimits limits = {}, std::string ns = "default");

  // Throws kAlreadyExists if there is one; on any failure nothing is left and a later create may
  // succeed.
  asio::awaitable<api::CreateResponse> create(api::CreateRequest request, TimePoint deadline);
  asio::awaitable<api::StartResponse> start();
  // Ends a created one first. Throws kFailedPrecondition while it runs.
  asio::awaitable<api::DeleteResponse> remove();
  // Parked until the task has stopped; ends with its caller.
  asio::awaitable<api::WaitResponse> wait();
  // The owner has gone or we were told to end: kills whatever there is, in whatever state, and
  // removes all but status and exit. patient: a runtime that is just deleting is waited for.
  asio::awaitable<void> end(bool patient = false);

  void kill(uint32_t signal, bool all);
  // SIGKILL to all, after a signal that did not end it: the exit file will say so.
  void escalate();
  // Has no owner any more, and its status file says so.
  void detach();
  void close_stdin();
  void limit(int64_t timeout_ns);
  api::StateResponse state() const;
  api::PidsResponse pids() const;
  uint32_t pid() const { return static_cast<uint32_t>(pid_); }  // 0: none
  bool exists() const { return status_ != api::Status::kUnknown; }
  const api::Options& options() const { return options_; }
  const std::string& id() const { return id_; }
  Publisher& publisher() { return publisher_; }

 private:
  // task_create.cpp
  asio::awaitable<void> make(const api::CreateRequest& request, TimePoint deadline);
  asio::awaitable<void> run_create();
  std::exception_ptr read_config();
  void adopt_init();
  asio::awaitable<void> roll_back();
  // task_exit.cpp
  asio::awaitable<void> settle();
  asio::awaitable<void> watch_limit(TimePoint deadline);
  void kill_all();
  void stop(bool output_cut, bool oom_killed);
  void publish_created();
  void publish_exit();
  void publish_deleted();
  // task_delete.cpp
  asio::awaitable<void> kill_and_wait();
  void clean();
  void forget();

  oci::Command limited(oci::Command command) const;
  oci::Runtime runtime() const;
  void require() const;  // throws kNotFound kTask
  api::StatusFile status_file() const;

  asio::io_context& loop_;
  Reaper& reaper_;
  Bundle bundle_;
  std::string id_;
  TaskLimits limits_;
  Runner runner_;
  Publisher publisher_;
  Lock lock_;  // of create, start, remove, end
  Event changed_;
  bool ending_ = false;

  api::Status status_ = api::Status::kUnknown;  // kUnknown: there is no task
  api::CreateRequest request_;
  api::Options options_;
  ConfigFacts config_;
  std::optional<Stdio> stdio_;
  pid_t pid_ = 0;
  uint64_t pid_start_ = 0;
  UniqueFd pidfd_;  // of init, until it is reaped
  bool starting_ = false;
  bool timed_out_ = false, escalated_ = false;
  bool runtime_ran_ = false;  // create was executed: there may be something to delete
  int64_t created_ns_ = api::kNotYet, started_ns_ = api::kNotYet;
  std::optional<Ended> ended_;  // init was reaped; status_ follows when all is settled
};

}  // namespace ctrd::shim
