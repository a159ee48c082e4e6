// SPDX-License-Identifier: Apache-2.0
// How an exec ends: its exit, its time limit, its deletion.
#include <algorithm>
#include <csignal>

#include "base/error.h"
#include "shim/child.h"
#include "shim/exec.h"
#include "shim/leftovers.h"

namespace ctrd::shim {

// One per exec that runs.
asio::awaitable<void> Exec::settle(std::shared_ptr<Exec> self) {
  std::optional<Ended> ended = co_await self->task_.reaper.wait(self->pid_);
  self->pidfd_.reset();
  if (self->timed_out_ || self->kill_tree_)
    co_await self->cgroup_.kill(after(self->task_.limits.kill));
  self->stop(*ended);
}

void Exec::stop(const Ended& ended) {
  ended_ = ended;
  ended_->time_ns = std::max(ended.time_ns, started_ns_ + 1);
  bool by_kill = ended.signal == SIGKILL;
  timed_out_ &= by_kill;
  if (by_kill && !timed_out_ && !killed_) oom_killed_ = task_.count_oom_kills() > oom_kills_;
  flush_by_ = after(Nanos(task_.options.drain_ns));
  status_ = api::Status::kStopped;
  stdio_.process_ended();
  task_.publisher.publish_new(api::TaskExit{.container_id = task_.id,
                                            .id = id(),
                                            .pid = pid(),
                                            .exit_status = static_cast<uint32_t>(ended.status),
                                            .exited_ns = ended_->time_ns});
  changed_.notify();
}

// All that it has forked is in its cgroup, and goes with it.
asio::awaitable<void> Exec::watch_limit(std::shared_ptr<Exec> self, TimePoint deadline) {
  while (self->is_running() && Clock::now() < deadline) co_await self->changed_.wait(deadline);
  if (!self->is_running()) co_return;
  self->timed_out_ = true;
  try_kill(self->pidfd_);
  co_await self->cgroup_.kill(kForever);
}

asio::awaitable<api::ExitInfo> Exec::wait() {
  std::shared_ptr<Exec> self = shared_from_this();
  while (!deleted_ && (starting_ || (!ended_ && !failed_))) co_await changed_.wait();
  if (deleted_ && !ended_)
    throw not_found(Kind::kProcess, name() + " was deleted before it was started");
  if (ended_) co_await stdio_.flush_files(flush_by_);
  co_return exit_info();
}

asio::awaitable<api::ExitInfo> Exec::remove() {
  std::shared_ptr<Exec> self = shared_from_this();
  if (starting_ || is_running()) throw wrong_state("deleted");
  Nanos bound{task_.options.drain_ns};
  if (ended_) output_cut_ |= co_await stdio_.drain(bound, Stdio::Output::kAll);
  if (deleted_) throw not_found(Kind::kProcess, name() + " was deleted meanwhile");
  abandon();
  task_.bundle.try_remove(dir());
  task_.publisher.publish_new(api::TaskDelete{.container_id = task_.id,
                                              .pid = pid(),
                                              .exit_status = exit_info().status,
                                              .exited_ns = exit_info().exited_ns,
                                              .id = id()});
  co_return exit_info();
}

void Exec::abandon() {
  deleted_ = true;
  stdio_.shut();
  remove_cgroup();
  changed_.notify();
}

void Exec::remove_cgroup() {
  if (!cgroup_.exists()) return;
  task_.left_cgroups.push_back(std::move(cgroup_));
  task_.remove_left_cgroups();
}

// One that was never started has no status, and no times.
api::ExitInfo Exec::exit_info() const {
  constexpr uint32_t kNoStatus = 255;
  api::ExitInfo exit{.pid = pid()};
  if (failed_) exit.status = kNoStatus;
  if (!ended_) return exit;
  exit.status = static_cast<uint32_t>(ended_->status);
  exit.signal = static_cast<uint32_t>(ended_->signal);
  exit.started_ns = started_ns_;
  exit.exited_ns = ended_->time_ns;
  exit.oom_killed = oom_killed_;
  exit.output_cut = output_cut_;
  exit.timed_out = timed_out_;
  return exit;
}

}  // namespace ctrd::shim
