// SPDX-License-Identifier: Apache-2.0
// Queries and signals: what never waits for anything.
#include "shim/task.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <utility>

#include "base/cgroup.h"
#include "base/error.h"
#include "base/process.h"
#include "shim/leftovers.h"

namespace ctrd::shim {
namespace {

constexpr uint32_t kLastSignal = 64;

Error already_finished() {
  return Error(Code::kNotFound, "process already finished", Kind::kProcess);
}

}  // namespace

Task::Task(asio::io_context& loop, Reaper& reaper, Bundle bundle, std::string id, TaskLimits limits,
           std::string ns)
    : loop_(loop),
      reaper_(reaper),
      bundle_(std::move(bundle)),
      id_(std::move(id)),
      limits_(limits),
      runner_(reaper, bundle_.file(api::kRuntimeLogFile)),
      publisher_(loop, std::move(ns)) {}

void Task::require() const {
  if (!exists()) throw not_found(Kind::kTask, "task " + id_ + ": there is none");
}

oci::Command Task::limited(oci::Command command) const {
  if (limits_.verb) command.deadline = *limits_.verb;
  return command;
}

oci::Runtime Task::runtime() const {
  return {.binary = options_.binary_name,
          .root = bundle_.file(api::kRuntimeDir),
          .log = bundle_.file(api::kRuntimeLogFile)};
}

void Task::kill(uint32_t signal, bool all) {
  require();
  if (signal > kLastSignal)
    throw invalid("signal", std::to_string(signal), "is not a signal's number");
  if (status_ == api::Status::kStopped) throw already_finished();
  if (all) {
    signal_cgroup(config_.cgroups_path, static_cast<int>(signal));
    return;
  }
  if (ended_ || !pidfd_) throw already_finished();
  if (::syscall(SYS_pidfd_send_signal, pidfd_.get(), signal, nullptr, 0) == 0) return;
  if (errno == ESRCH) throw already_finished();
  throw sys_error("sending signal " + std::to_string(signal) + " to task " + id_);
}

void Task::escalate() {
  kill(SIGKILL, true);
  if (!ended_) escalated_ = true;
}

void Task::detach() {
  require();
  api::Lifetime before = std::exchange(options_.lifetime, api::Lifetime::kDetached);
  try {
    bundle_.write(status_file());
  } catch (...) {
    options_.lifetime = before;
    throw;
  }
}

void Task::close_stdin() {
  require();
  if (stdio_) stdio_->close_stdin();
}

void Task::limit(int64_t timeout_ns) {
  require();
  if (status_ != api::Status::kCreated || starting_)
    throw failed_precondition("task " + id_ + ": a limit is set before the start", Kind::kTask);
  if (timeout_ns < 0) throw invalid("timeout", std::to_string(timeout_ns), "is negative");
  options_.timeout_ns = timeout_ns;
}

api::StateResponse Task::state() const {
  require();
  api::StateResponse state;
  state.id = id_;
  state.bundle = bundle_.path();
  state.pid = pid();
  state.status = status_;
  state.stdin_path = request_.stdin_path;
  state.stdout_path = request_.stdout_path;
  state.stderr_path = request_.stderr_path;
  if (status_ != api::Status::kStopped) return state;
  state.exit_status = static_cast<uint32_t>(ended_->status);
  state.exited_ns = ended_->time_ns;
  return state;
}

api::PidsResponse Task::pids() const {
  require();
  api::PidsResponse found;
  if (status_ == api::Status::kStopped) return found;
  for (pid_t pid : cgroup_pids(config_.cgroups_path))
    found.processes.push_back({.pid = static_cast<uint32_t>(pid), .info = {}});
  return found;
}

asio::awaitable<api::WaitResponse> Task::wait() {
  require();
  while (status_ != api::Status::kStopped) {
    require();
    co_await changed_.wait();
  }
  co_return api::WaitResponse{.exit_status = static_cast<uint32_t>(ended_->status),
                              .exited_ns = ended_->time_ns};
}

api::StatusFile Task::status_file() const {
  api::StatusFile file;
  file.instance = options_.instance;
  file.status = status_;
  file.pid = pid();
  file.pid_start = pid_start_;
  ProcessKey self = this_process();
  file.boot_id = self.boot;
  file.created_ns = created_ns_;
  file.started_ns = started_ns_;
  file.shim_pid = static_cast<uint32_t>(self.pid);
  file.shim_start = self.start;
  file.cgroups_path = config_.cgroups_path;
  file.log_dir = options_.log_dir;
  file.runtime = options_.binary_name;
  file.on_exit = options_.on_exit;
  file.detached = options_.lifetime == api::Lifetime::kDetached;
  return file;
}

}  // namespace ctrd::shim
