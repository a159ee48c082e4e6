// SPDX-License-Identifier: Apache-2.0
// Queries and signals: what never waits for anything.
#include "shim/task.h"

#include <csignal>
#include <map>
#include <utility>

#include "base/cgroup.h"
#include "base/error.h"
#include "base/process.h"
#include "shim/child.h"
#include "shim/leftovers.h"
#include "shim/metrics.h"

namespace ctrd::shim {

Task::Task(asio::io_context& loop, Reaper& reaper, Bundle bundle, std::string id, TaskLimits limits,
           Client client)
    : side_(loop, reaper, std::move(bundle), std::move(id), limits, std::move(client)) {
  side_.check_takes_execs = [this] { check_takes_execs(); };
}

void Task::require() const {
  if (!exists()) throw not_found(Kind::kTask, "task " + side_.id + ": there is none");
}

// A frozen process dies of nothing; v2's freezer lets SIGKILL through, v1's does not.
void Task::kill(uint32_t signal, bool all) {
  require();
  if (status_ == api::Status::kStopped || ended_) throw already_finished();
  check_signal(signal);
  if (awaits_restore()) return kill_unstarted(signal);
  if (all && !side_.config.cgroups_path.empty())
    signal_cgroup(side_.config.cgroups_path, static_cast<int>(signal));
  else
    send_signal(pidfd_, signal, "task " + side_.id);
  if (all && side_.config.cgroups_path.empty()) execs_.signal(signal);  // as all_pids()
  if (signal != SIGKILL) return;
  killed_ = true;
  if (status_ == api::Status::kPaused || status_ == api::Status::kPausing) thaw();
}

void Task::escalate() {
  kill(SIGKILL, true);
  if (!ended_) escalated_ = true;
}

void Task::detach() {
  require();
  api::Lifetime before = std::exchange(side_.options.lifetime, api::Lifetime::kDetached);
  try {
    side_.bundle.write(status_file());
  } catch (...) {
    side_.options.lifetime = before;
    throw;
  }
}

void Task::close_stdin() {
  require();
  if (stdio_) stdio_->close_stdin();
}

void Task::resize(Size size) {
  require();
  if (!request_.terminal) return;
  check_size(size);
  if (stdio_) stdio_->resize(size);
}

void Task::limit(int64_t timeout_ns) {
  require();
  if (status_ != api::Status::kCreated || starting_)
    throw failed_precondition("task " + side_.id + ": a limit is set before the start",
                              Kind::kTask);
  if (timeout_ns < 0) throw invalid("timeout", std::to_string(timeout_ns), "is negative");
  side_.options.timeout_ns = timeout_ns;
}

api::StateResponse Task::state() const {
  require();
  api::StateResponse state;
  state.id = side_.id;
  state.bundle = side_.bundle.path();
  state.pid = pid();
  state.status = status_;
  state.stdin_path = request_.stdin_path;
  state.stdout_path = request_.stdout_path;
  state.stderr_path = request_.stderr_path;
  state.terminal = request_.terminal;
  if (status_ != api::Status::kStopped) return state;
  state.exit_status = static_cast<uint32_t>(ended_->status);
  state.exited_ns = ended_->time_ns;
  return state;
}

api::PidsResponse Task::pids() const {
  require();
  api::PidsResponse found;
  if (status_ == api::Status::kStopped) return found;
  std::map<uint32_t, std::string> execs = execs_.ids_by_pid();
  for (pid_t pid : all_pids()) {
    api::ProcessInfo process{.pid = static_cast<uint32_t>(pid), .info = {}};
    auto exec = execs.find(process.pid);
    if (exec != execs.end())
      process.info = {.type_url = std::string(api::kProcessDetailsType),
                      .value = api::encode(api::ProcessDetails{exec->second})};
    found.processes.push_back(std::move(process));
  }
  return found;
}

std::string Task::cgroup() const {
  const std::string& own = side_.config.cgroups_path;
  return own.empty() && !ended_ && pid_ > 0 ? cgroup_of(pid_) : own;
}

api::StatsResponse Task::stats() const {
  require();
  std::string path = cgroup();
  std::vector<UniqueFd> dirs;
  if (!path.empty()) dirs = open_cgroup(path);
  if (dirs.empty())
    throw not_found(Kind::kTask, "task " + side_.id + ": it has no cgroup any more");
  return {.stats = cgroup_metrics(dirs)};
}

// Without a cgroup that is known to be its own: what we have started.
std::vector<pid_t> Task::all_pids() const {
  if (!side_.config.cgroups_path.empty()) return cgroup_pids(side_.config.cgroups_path);
  std::vector<pid_t> found;
  if (pid_ > 0) found.push_back(pid_);
  for (const auto& [pid, exec] : execs_.ids_by_pid()) found.push_back(static_cast<pid_t>(pid));
  return found;
}

asio::awaitable<api::ExitInfo> Task::wait() {
  require();
  while (status_ != api::Status::kStopped) {
    require();
    co_await changed_.wait();
  }
  co_return exit_info();
}

api::ExitInfo Task::exit_info() const {
  return {.status = static_cast<uint32_t>(ended_->status),
          .signal = static_cast<uint32_t>(ended_->signal),
          .started_ns = started_ns_,
          .exited_ns = ended_->time_ns,
          .oom_killed = oom_killed_,
          .escalated = escalated_,
          .output_cut = output_cut_,
          .timed_out = timed_out_,
          .pid = pid()};
}

api::StatusFile Task::status_file() const {
  api::StatusFile file;
  file.instance = side_.options.instance;
  file.status = status_;
  file.pid = pid();
  file.pid_start = pid_start_;
  static const ProcessKey self = this_process();  // this file must be writable without /proc
  file.boot_id = self.boot;
  file.created_ns = created_ns_;
  file.started_ns = started_ns_;
  file.shim_pid = static_cast<uint32_t>(self.pid);
  file.shim_start = self.start;
  file.cgroups_path = side_.config.cgroups_path;
  file.log_dir = side_.options.log_dir;
  file.runtime = side_.options.binary_name;
  file.on_exit = side_.options.on_exit;
  file.runtime_root = side_.options.runtime_root;
  file.systemd_cgroup = side_.options.systemd_cgroup;
  file.detached = side_.options.lifetime == api::Lifetime::kDetached;
  return file;
}

}  // namespace ctrd::shim
