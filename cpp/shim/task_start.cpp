// SPDX-License-Identifier: Apache-2.0
#include "base/error.h"
#include "oci/runtime_errors.h"
#include "shim/task.h"

namespace ctrd::shim {

asio::awaitable<api::StartResponse> Task::start() {
  Lock::Guard guard = co_await lock_.acquire();
  require();
  if (status_ != api::Status::kCreated || ended_)
    throw failed_precondition("task " + side_.id + " cannot be started: it is not in state created",
                              Kind::kTask);
  if (awaits_restore()) {
    co_await start_restored();
    limit_time();
    co_return api::StartResponse{.pid = pid()};
  }
  starting_ = true;
  started_ns_ = wall_ns();  // before the runtime's start, so that a duration is never 0
  oci::Command command =
      side_.limited(oci::start_command(side_.runtime(api::kRuntimeLogFile), side_.id));
  oci::Outcome outcome = co_await side_.runner.run(command);
  bool started = outcome.status == 0 && outcome.launch_errno == 0;
  if (started) {
    status_ = api::Status::kRunning;
    side_.bundle.try_write(status_file());
    side_.publisher.publish(api::TaskStart{side_.id, pid()});
  } else {
    started_ns_ = api::kNotYet;
  }
  starting_ = false;
  changed_.notify();
  oci::check(command, outcome);
  limit_time();
  co_return api::StartResponse{.pid = pid()};
}

void Task::limit_time() {
  if (side_.options.timeout_ns <= 0) return;
  shim::start(side_.loop, watch_limit(after(Nanos(side_.options.timeout_ns))),
              "limiting the time of task " + side_.id);
}

}  // namespace ctrd::shim
