// SPDX-License-Identifier: Apache-2.0
#include <exception>

#include "base/error.h"
#include "base/log.h"
#include "base/mount.h"
#include "oci/runtime_errors.h"
#include "shim/leftovers.h"
#include "shim/task.h"

namespace ctrd::shim {

asio::awaitable<api::DeleteResponse> Task::remove() {
  Lock::Guard guard = co_await lock_.acquire();
  require();
  if (status_ == api::Status::kRunning)
    throw failed_precondition("task " + id_ + " cannot be deleted: it is running", Kind::kTask);
  if (status_ == api::Status::kCreated) co_await kill_and_wait();
  oci::Command command = limited(oci::delete_command(runtime(), id_, false));
  oci::Outcome outcome = co_await runner_.run(command);
  oci::check(command, outcome);
  api::DeleteResponse response{.pid = pid(),
                               .exit_status = static_cast<uint32_t>(ended_->status),
                               .exited_ns = ended_->time_ns};
  clean();
  publish_deleted();
  forget();
  co_return response;
}

asio::awaitable<void> Task::end(bool patient) {
  ending_ = true;
  if (!patient) runner_.abort();
  Lock::Guard guard = co_await lock_.acquire();
  if (!exists()) co_return;
  if (status_ != api::Status::kStopped) co_await kill_and_wait();
  co_await runner_.run(limited(oci::delete_command(runtime(), id_, true)));
  clean();
  bundle_.try_remove(api::kIoDir);
  bundle_.try_remove(api::kSocketFile);
  if (options_.on_exit == api::OnExit::kDelete) publish_deleted();  // who meets it only tidies up
  forget();
}

asio::awaitable<void> Task::kill_and_wait() {
  kill_all();
  TimePoint deadline = after(2 * limits_.kill + Nanos(options_.drain_ns));
  while (status_ != api::Status::kStopped && Clock::now() < deadline)
    co_await changed_.wait(deadline);
  if (status_ != api::Status::kStopped)
    throw Error(Code::kDeadlineExceeded, "task " + id_ + " was killed but does not end",
                Kind::kTask);
}

// What is left outside the runtime's own view. Only when nothing of the task runs.
void Task::clean() {
  remove_cgroup(config_.cgroups_path);
  try {
    unmount_all(bundle_.file(api::kRootfsDir));
  } catch (const Error& error) {
    log(Level::kWarning, error.message());
  }
  bundle_.try_remove(api::kRuntimeDir);
  bundle_.try_remove(api::kInitPidFile);
}

void Task::forget() {
  status_ = api::Status::kUnknown;
  request_ = {};
  options_ = {};
  config_ = {};
  stdio_.reset();
  pid_ = 0;
  pid_start_ = 0;
  pidfd_.reset();
  timed_out_ = escalated_ = runtime_ran_ = false;
  created_ns_ = started_ns_ = api::kNotYet;
  ended_.reset();
  changed_.notify();
}

}  // namespace ctrd::shim
