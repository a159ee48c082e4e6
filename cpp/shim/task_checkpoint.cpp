// SPDX-License-Identifier: Apache-2.0
// Dumping a task's memory, and holding it frozen meanwhile. It is always frozen first: CRIU waits
// for a v1 freezer in steps of 100 ms, and dumps what is frozen all the same.
#include "base/error.h"
#include "base/log.h"
#include "shim/checkpoint.h"
#include "shim/task.h"

namespace ctrd::shim {
namespace {

Error cannot(const std::string& id, const std::string& why) {
  return failed_precondition("task " + id + " cannot be checkpointed: " + why, Kind::kTask);
}

}  // namespace

// The lock is held. Whoever freezes thaws: kPausing is what others see.
asio::awaitable<void> Task::freeze() {
  check_freezable();
  status_ = api::Status::kPausing;
  co_await execs_.none_starting();
  oci::Command command =
      side_.limited(oci::pause_command(side_.runtime(api::kRuntimeLogFile), side_.id));
  oci::Outcome outcome = co_await side_.runner.run(command);
  bool frozen = outcome.status == 0 && outcome.launch_errno == 0;
  if (frozen) co_await await_frozen();
  if (status_ == api::Status::kPausing && frozen && !killed_ && !ended_) co_return;
  co_await unfreeze();
  oci::check(command, outcome);
  throw cannot(side_.id, "it has ended");
}

// By its cgroup's files where it has one of its own; else the runtime knows.
asio::awaitable<void> Task::unfreeze() {
  if (side_.config.cgroups_path.empty())
    co_await resume_by_runtime();
  else
    thaw();
  if (status_ == api::Status::kPausing) status_ = api::Status::kRunning;
}

// A hold whose caller has gone is about to end, maybe once its dump has: it is waited for.
asio::awaitable<Lock::Guard> Task::acquire_for(const ttrpc::Caller* by) {
  const auto is_anothers = [&] { return held_ && held_->caller.get() != by; };
  for (;;) {
    while (is_anothers() && held_->over) co_await changed_.wait();
    if (is_anothers()) throw cannot(side_.id, "it is being checkpointed");
    Lock::Guard guard = co_await lock_.acquire();
    if (!is_anothers()) co_return std::move(guard);
  }
}

// The lock is free while it is held, for its end and its caller's checkpoint.
asio::awaitable<Lock::Guard> Task::acquire_unheld() {
  for (;;) {
    while (held_ && !ended_) co_await changed_.wait();
    Lock::Guard guard = co_await lock_.acquire();
    if (!held_ || ended_) co_return std::move(guard);
  }
}

asio::awaitable<void> Task::checkpoint(api::CheckpointTaskRequest request,
                                       const ttrpc::Caller* caller) {
  api::CheckpointOptions options = checkpoint_options(request.options);
  Lock::Guard guard = co_await acquire_for(caller);
  require();
  bool runs = status_ == api::Status::kRunning && !ended_;
  bool frozen = (status_ == api::Status::kPaused || held_) && !ended_;
  if (!runs && !frozen) throw cannot(side_.id, "it is neither running nor paused");
  make_image_dir(request.path);
  CriuWork work(side_.bundle, options.work_path);
  api::CriuOptions more;
  if (!side_.client.is_containerd) more = api::decode<api::CriuOptions>(request.options.value);
  oci::Command command = side_.limited(oci::checkpoint_command(
      side_.runtime(api::kRuntimeLogFile), side_.id, {.images = request.path, .work = work.path()},
      checkpoint_flags(options), options.exit));
  command.env = work.configure(more);
  const bool freezes = runs && !held_;
  if (freezes) co_await freeze();
  oci::Outcome outcome = co_await side_.runner.run(command);
  if (freezes) co_await unfreeze();  // also what has ended: v1 keeps SIGKILL waiting
  if (outcome.status != 0 || outcome.launch_errno != 0) throw work.failed(command, outcome);
  if (side_.client.is_containerd)  // our engine says where it is, once it is there
    side_.publisher.publish_new(api::TaskCheckpointed{side_.id, request.path});
  if (options.exit) {
    if (frozen) thaw();  // v1 keeps even the dead
    TimePoint deadline = after(side_.limits.kill);
    while (!ended_ && Clock::now() < deadline) co_await changed_.wait(deadline);
  }
}

// Whatever comes first, the end of its caller or the lock: nothing stays frozen.
asio::awaitable<void> Task::hold(std::shared_ptr<Hold> hold) {
  Lock::Guard guard = co_await acquire_for(nullptr);
  require();
  if (hold->over) co_return;
  bool runs = status_ == api::Status::kRunning;
  if ((!runs && status_ != api::Status::kPaused) || ended_)
    throw cannot(side_.id, "it is neither running nor paused");
  if (runs) co_await freeze();
  hold->froze = runs;
  held_ = std::move(hold);
}

asio::awaitable<void> Task::let_go(std::shared_ptr<Hold> hold) {
  Lock::Guard guard = co_await lock_.acquire();
  if (held_ != hold) co_return;
  held_.reset();
  if (hold->froze && exists() && !ended_) co_await unfreeze();
  changed_.notify();
}

}  // namespace ctrd::shim
