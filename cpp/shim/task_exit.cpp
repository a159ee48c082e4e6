// SPDX-License-Identifier: Apache-2.0
// How a task ends: init's exit, or its time limit.
#include <algorithm>
#include <csignal>

#include "shim/child.h"
#include "shim/leftovers.h"
#include "shim/task.h"

namespace ctrd::shim {

// One per task, from Create on.
asio::awaitable<void> Task::settle() {
  std::optional<Ended> ended = co_await side_.reaper.wait(pid_);
  pidfd_.reset();
  ended->time_ns = std::max(ended->time_ns, started_ns_ + 1);
  ended_ = ended;
  bool by_kill = ended->signal == SIGKILL, ours = by_kill && killed_;
  timed_out_ &= by_kill;  // else it had ended already
  escalated_ &= by_kill;
  side_.over = true;
  changed_.notify();
  co_await end_the_rest();
  saw_oom(side_.count_oom_kills());  // delete takes the counter away
  oom_killed_ = side_.oom_kills_seen > 0 && ended->status != 0 && !ours;
  // What a client reads flows on until Delete; for a task that deletes itself that is now.
  bool deletes_itself = side_.options.on_exit == api::OnExit::kDelete;
  output_cut_ = co_await drain(deletes_itself ? Stdio::Output::kAll : Stdio::Output::kKept);
  stop();
}

asio::awaitable<bool> Task::drain(Stdio::Output which) {
  return stdio_->drain(Nanos(side_.options.drain_ns), which);
}

// What was being started is seen as started before it is seen as stopped, and every exec has told
// its exit before init does. A pid namespace of its own has taken all with it.
asio::awaitable<void> Task::end_the_rest() {
  while (starting_) co_await changed_.wait();
  bool idle = co_await side_.runner.idle(after(side_.limits.kill));
  if (!idle) side_.runner.abort();
  co_await execs_.none_starting();
  if (status_ == api::Status::kPaused || status_ == api::Status::kPausing) thaw();
  if (!side_.config.private_pids)
    co_await kill_leftovers(side_.config.cgroups_path, side_.limits.kill, side_.loggers.groups);
  co_await execs_.none_running(after(side_.limits.kill));
}

void Task::saw_oom(uint64_t kills) {
  if (kills <= side_.oom_kills_seen) return;
  side_.oom_kills_seen = kills;
  side_.publisher.publish_new(api::TaskOOM{side_.id});
}

void Task::stop() {
  api::ExitFile exit;
  exit.status = static_cast<uint32_t>(ended_->status);
  exit.signal = static_cast<uint32_t>(ended_->signal);
  exit.started_ns = started_ns_;
  exit.exited_ns = ended_->time_ns;
  exit.oom_killed = oom_killed_;
  exit.output_cut = output_cut_;
  exit.timed_out = timed_out_;
  exit.escalated = escalated_;
  exit.instance = side_.options.instance;
  side_.bundle.try_write(exit);
  publish_exit();  // before the status file says so: see settle() of the engine
  set_status(api::Status::kStopped);
  changed_.notify();
}

asio::awaitable<void> Task::watch_limit(TimePoint deadline) {
  while (!ended_ && Clock::now() < deadline) co_await changed_.wait(deadline);
  if (ended_) co_return;
  timed_out_ = true;
  kill_all();
}

void Task::kill_all() {
  if (awaits_restore()) {
    if (!ended_) kill_unstarted(SIGKILL);
    return;
  }
  killed_ = true;
  signal_cgroup(side_.config.cgroups_path, SIGKILL);
  try_kill(pidfd_);
  if (status_ == api::Status::kPaused || status_ == api::Status::kPausing) thaw();
}

}  // namespace ctrd::shim
