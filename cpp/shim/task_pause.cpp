// SPDX-License-Identifier: Apache-2.0
// Freezing and thawing, and new limits: the verbs of a task that goes on.
#include <unistd.h>

#include <algorithm>

#include "base/cgroup.h"
#include "base/error.h"
#include "base/log.h"
#include "oci/json.h"
#include "oci/runtime_errors.h"
#include "shim/task.h"

namespace ctrd::shim {
namespace {

constexpr Nanos kFreezerStep = std::chrono::milliseconds(1);

Error wrong_state(const std::string& id, const char* verb, const char* needs) {
  return failed_precondition("task " + id + " cannot be " + verb + ": it is not " + needs,
                             Kind::kTask);
}

}  // namespace

void Task::set_status(api::Status status) {
  status_ = status;
  side_.bundle.try_write(status_file());
}

// No exec is half-started in a frozen cgroup: its runtime would hang there.
asio::awaitable<void> Task::pause() {
  Lock::Guard guard = co_await acquire_unheld();
  require();
  if (status_ != api::Status::kRunning || ended_) throw wrong_state(side_.id, "paused", "running");
  check_freezable();
  status_ = api::Status::kPausing;
  co_await execs_.none_starting();
  oci::Command command =
      side_.limited(oci::pause_command(side_.runtime(api::kRuntimeLogFile), side_.id));
  oci::Outcome outcome = co_await side_.runner.run(command);
  bool paused = outcome.status == 0 && outcome.launch_errno == 0;
  if (paused) co_await await_frozen();
  if (status_ != api::Status::kPausing) throw wrong_state(side_.id, "paused", "running");
  if (!paused || killed_ || ended_) {  // half-frozen, or SIGKILL came while it was being frozen
    thaw();
    status_ = api::Status::kRunning;
    oci::check(command, outcome);
    throw wrong_state(side_.id, "paused", "running");
  }
  set_status(api::Status::kPaused);
  side_.publisher.publish_new(api::TaskPaused{side_.id});
}

// crun only asks v1's freezer, which takes its time with processes that are being forked.
asio::awaitable<void> Task::await_frozen() {
  TimePoint deadline = after(side_.limits.kill);
  auto waits = [&] {
    return status_ == api::Status::kPausing && !killed_ && !ended_ && Clock::now() < deadline;
  };
  while (waits() && !is_frozen()) co_await changed_.wait(after(kFreezerStep));
}

asio::awaitable<void> Task::resume() {
  Lock::Guard guard = co_await acquire_unheld();
  require();
  if (status_ != api::Status::kPaused || ended_) throw wrong_state(side_.id, "resumed", "paused");
  oci::Command command =
      side_.limited(oci::resume_command(side_.runtime(api::kRuntimeLogFile), side_.id));
  oci::Outcome outcome = co_await side_.runner.run(command);
  if (is_frozen()) oci::check(command, outcome);  // else somebody else had resumed it
  if (status_ != api::Status::kPaused) co_return;
  set_status(api::Status::kRunning);
  side_.publisher.publish_new(api::TaskResumed{side_.id});
}

asio::awaitable<void> Task::update(std::string resources) {
  if (!oci::parse_json(resources, "resources").is_object())
    throw invalid("resources", resources, "must be an object");
  Lock::Guard guard = co_await lock_.acquire();
  require();
  if (status_ == api::Status::kStopped || ended_) throw wrong_state(side_.id, "updated", "alive");
  oci::Command command = side_.limited(
      oci::update_command(side_.runtime(api::kRuntimeLogFile), side_.id, std::move(resources)));
  oci::Outcome outcome = co_await side_.runner.run(command);
  oci::check(command, outcome);
}

// Of a cgroup that is not its own all are frozen: who has to thaw them must not be one of them.
void Task::check_freezable() const {
  if (!side_.config.cgroups_path.empty()) return;
  std::string path = cgroup();
  if (path.empty()) return;
  std::vector<pid_t> members = cgroup_pids(path);
  if (std::find(members.begin(), members.end(), ::getpid()) == members.end()) return;
  throw failed_precondition(
      "task " + side_.id + " cannot be frozen: this shim is in its cgroup " + path + " too",
      Kind::kTask);
}

// If it cannot be told, what the runtime says counts.
bool Task::is_frozen() const {
  try {
    return cgroup_frozen(cgroup());
  } catch (const Error& error) {
    log(Level::kWarning, error.message());
    return true;
  }
}

// By the cgroup's own files: at once, and whatever a runtime thinks of it. One that it shares is
// the runtime's to thaw.
void Task::thaw() {
  try {
    if (side_.config.cgroups_path.empty())
      shim::start(side_.loop, resume_by_runtime(), "thawing task " + side_.id);
    else
      thaw_cgroup(side_.config.cgroups_path);
  } catch (const Error& error) {
    log(Level::kWarning, error.message());
  }
  if (status_ == api::Status::kPaused) set_status(api::Status::kRunning);
}

asio::awaitable<void> Task::resume_by_runtime() {
  oci::Command command =
      side_.limited(oci::resume_command(side_.runtime(api::kRuntimeLogFile), side_.id));
  oci::Outcome outcome = co_await side_.runner.run(command);
  if (outcome.status != 0) log(Level::kWarning, "task " + side_.id + " could not be resumed");
}

void Task::check_takes_execs() const {
  require();
  bool takes = status_ == api::Status::kCreated || status_ == api::Status::kRunning;
  if (takes && !ended_ && !ending_) return;
  const char* is = status_ == api::Status::kPaused || status_ == api::Status::kPausing
                       ? "it is paused"
                       : "its init process is not running";
  throw failed_precondition("task " + side_.id + " takes no process: " + is, Kind::kTask);
}

}  // namespace ctrd::shim
