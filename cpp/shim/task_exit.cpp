// SPDX-License-Identifier: Apache-2.0
// How a task ends: init's exit, or its time limit.
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "base/log.h"
#include "shim/leftovers.h"
#include "shim/task.h"

namespace ctrd::shim {

// One per task, from Create on.
asio::awaitable<void> Task::settle() {
  std::optional<Ended> ended = co_await reaper_.wait(pid_);
  pidfd_.reset();
  ended->time_ns = std::max(ended->time_ns, started_ns_ + 1);
  ended_ = ended;
  while (starting_) co_await changed_.wait();  // seen as started before it is seen as stopped
  if (!config_.private_pids) co_await kill_leftovers(config_.cgroups_path, limits_.kill);
  bool oom_killed = oom_kills(config_.cgroups_path) > 0;  // delete takes the counter away
  bool output_cut = co_await stdio_->drain(Nanos(options_.drain_ns));
  stop(output_cut, oom_killed);
}

void Task::stop(bool output_cut, bool oom_killed) {
  api::ExitFile exit;
  exit.status = static_cast<uint32_t>(ended_->status);
  exit.signal = static_cast<uint32_t>(ended_->signal);
  exit.started_ns = started_ns_;
  exit.exited_ns = ended_->time_ns;
  exit.oom_killed = oom_killed;
  exit.output_cut = output_cut;
  exit.timed_out = timed_out_;
  exit.escalated = escalated_;
  exit.instance = options_.instance;
  bundle_.try_write(exit);
  if (oom_killed) publisher_.publish(api::TaskOOM{id_});
  publish_exit();  // before the status file says so: see settle() of the engine
  status_ = api::Status::kStopped;
  bundle_.try_write(status_file());
  changed_.notify();
}

asio::awaitable<void> Task::watch_limit(TimePoint deadline) {
  while (!ended_ && Clock::now() < deadline) co_await changed_.wait(deadline);
  if (ended_) co_return;
  timed_out_ = true;
  kill_all();
}

void Task::kill_all() {
  signal_cgroup(config_.cgroups_path, SIGKILL);
  if (pidfd_) ::syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0);
}

}  // namespace ctrd::shim
