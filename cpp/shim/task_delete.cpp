// SPDX-License-Identifier: Apache-2.0
#include <exception>

#include "base/error.h"
#include "base/log.h"
#include "base/mount.h"
#include "oci/runtime_errors.h"
#include "shim/leftovers.h"
#include "shim/task.h"

namespace ctrd::shim {

asio::awaitable<api::ExitInfo> Task::remove() {
  Lock::Guard guard = co_await lock_.acquire();
  require();
  if (status_ != api::Status::kStopped && status_ != api::Status::kCreated)
    throw failed_precondition("task " + side_.id + " cannot be deleted: it is running or paused",
                              Kind::kTask);
  if (status_ == api::Status::kCreated) co_await kill_and_wait();
  output_cut_ |= co_await drain(Stdio::Output::kAll);
  if (runtime_ran_) {
    oci::Command command =
        side_.limited(oci::delete_command(side_.runtime(api::kRuntimeLogFile), side_.id, false));
    oci::Outcome outcome = co_await side_.runner.run(command);
    oci::check(command, outcome);
  }
  api::ExitInfo exit = exit_info();
  clean();
  if (side_.client.is_containerd) {  // `delete` of the program must find that nothing is left
    side_.bundle.try_remove(api::kStatusFile);
    side_.bundle.try_remove(api::kExitFile);
  }
  publish_deleted();
  forget();
  co_return exit;
}

asio::awaitable<void> Task::end(bool patient) {
  ending_ = side_.over = true;
  if (!patient) side_.runner.abort();
  Lock::Guard guard = co_await lock_.acquire();
  if (!exists()) co_return;
  if (status_ != api::Status::kStopped) co_await kill_and_wait();
  if (runtime_ran_)
    co_await side_.runner.run(
        side_.limited(oci::delete_command(side_.runtime(api::kRuntimeLogFile), side_.id, true)));
  clean();
  side_.bundle.try_remove(api::kIoDir);
  side_.bundle.try_remove(api::kSocketFile);
  if (side_.options.on_exit == api::OnExit::kDelete)
    publish_deleted();  // who meets it only tidies up
  forget();
}

asio::awaitable<void> Task::kill_and_wait() {
  kill_all();
  TimePoint deadline = after(2 * side_.limits.kill + Nanos(side_.options.drain_ns));
  while (status_ != api::Status::kStopped && Clock::now() < deadline)
    co_await changed_.wait(deadline);
  if (status_ != api::Status::kStopped)
    throw Error(Code::kDeadlineExceeded, "task " + side_.id + " was killed but does not end",
                Kind::kTask);
}

// What is left outside the runtime's own view. Only when nothing of the task runs.
void Task::clean() {
  oom_watch_.reset();
  execs_.clear();
  remove_cgroup(side_.config.cgroups_path);
  try {
    unmount_all(side_.bundle.file(api::kRootfsDir));
  } catch (const Error& error) {
    log(Level::kWarning, error.message());
  }
  side_.bundle.try_remove(api::kRuntimeDir);
  side_.bundle.try_remove(api::kInitPidFile);
  side_.bundle.try_remove(api::kExecDir);
}

void Task::forget() {
  status_ = api::Status::kUnknown;
  request_ = {};
  side_.options = {};
  side_.config = {};
  stdio_.reset();
  pid_ = 0;
  pid_start_ = 0;
  pidfd_.reset();
  held_.reset();
  timed_out_ = escalated_ = oom_killed_ = output_cut_ = killed_ = runtime_ran_ = false;
  side_.oom_kills_seen = side_.oom_kills_gone = 0;
  side_.over = ending_;
  created_ns_ = started_ns_ = api::kNotYet;
  ended_.reset();
  changed_.notify();
}

}  // namespace ctrd::shim
