// SPDX-License-Identifier: Apache-2.0
#include "base/error.h"
#include "oci/runtime_errors.h"
#include "shim/task.h"

namespace ctrd::shim {

asio::awaitable<api::StartResponse> Task::start() {
  Lock::Guard guard = co_await lock_.acquire();
  require();
  if (status_ != api::Status::kCreated || ended_)
    throw failed_precondition("task " + id_ + " cannot be started: it is not in state created",
                              Kind::kTask);
  starting_ = true;
  started_ns_ = wall_ns();  // before the runtime's start, so that a duration is never 0
  oci::Command command = limited(oci::start_command(runtime(), id_));
  oci::Outcome outcome = co_await runner_.run(command);
  bool started = outcome.status == 0 && outcome.launch_errno == 0;
  if (started) {
    status_ = api::Status::kRunning;
    bundle_.try_write(status_file());
    publisher_.publish(api::TaskStart{id_, pid()});
  } else {
    started_ns_ = api::kNotYet;
  }
  starting_ = false;
  changed_.notify();
  oci::check(command, outcome);
  if (options_.timeout_ns > 0)
    shim::start(loop_, watch_limit(after(Nanos(options_.timeout_ns))),
                "limiting the time of task " + id_);
  co_return api::StartResponse{.pid = pid()};
}

}  // namespace ctrd::shim
