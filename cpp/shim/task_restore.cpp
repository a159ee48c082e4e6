// SPDX-License-Identifier: Apache-2.0
// A task made from a checkpoint: Create prepares all but the process, which Start restores,
// running.
#include <fcntl.h>

#include <csignal>
#include <cstdio>
#include <exception>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "shim/checkpoint.h"
#include "shim/leftovers.h"
#include "shim/task.h"

namespace ctrd::shim {
namespace {

// What the images have in them decides; nothing of it needs to be asked for again.
constexpr oci::CheckpointFlags kAll{
    .tcp = true, .unix_sockets = true, .terminal = false, .file_locks = true};

}  // namespace

void Task::prepare_restore(const api::CreateRequest& request) {
  need_image_dir(request.checkpoint);
  restoring_ = {};
  if (!side_.client.is_containerd)
    restoring_ = api::decode<api::CriuOptions>(request.options.value);
  if (std::exception_ptr bad = read_config()) std::rethrow_exception(bad);
  if (side_.config.terminal != request.terminal)
    throw invalid("terminal", request.terminal ? "true" : "false", "config.json says otherwise");
}

asio::awaitable<void> Task::restore() {
  need_image_dir(request_.checkpoint);  // Create was perhaps long ago
  check_id_is_free();
  CriuWork work(side_.bundle, "");
  Reaper::Keep keep(side_.reaper);
  std::optional<ConsoleSocket> console;
  if (request_.terminal) console.emplace(open_dir_at(side_.bundle.dir(), "."));
  side_.bundle.try_remove(api::kInitPidFile);
  oci::CheckpointFlags flags = kAll;
  flags.tcp = !restoring_.close_tcp;
  flags.empty_namespaces = restoring_.empty_namespaces;
  oci::RestoreFiles files{.bundle = side_.bundle.path(),
                          .pid_file = side_.bundle.file(api::kInitPidFile),
                          .console_socket = console ? console->path() : ""};
  oci::Command command =
      side_.limited(oci::restore_command(side_.runtime(api::kRuntimeLogFile), side_.id,
                                         {.images = request_.checkpoint, .work = work.path()},
                                         flags, files, side_.options.no_pivot_root));
  command.env = work.configure(restoring_, side_.config.cgroups_path);
  Runner::Running running = side_.runner.launch(command, stdio_->child_ends());
  runtime_ran_ = running.launch_errno == 0;
  oci::Outcome outcome = co_await side_.runner.outcome(std::move(running));
  if (outcome.status != 0 || outcome.launch_errno != 0) throw work.failed(command, outcome);
  adopt_init(keep);
  if (!side_.reaper.has_ended(pid_)) check_cgroup(pid_, side_.config.cgroups_path);
  if (side_.config.cgroups_path.empty()) claim_cgroup_of_init();
  if (console) {
    UniqueFd master = co_await console->receive();
    stdio_->connect(std::move(master));
  }
  if (!restoring_.hostname.empty() && !side_.reaper.has_ended(pid_))
    set_hostname(pid_, restoring_.hostname);
  stdio_->close_child_ends();
}

// Then the task is as Create left it: Start may be tried again.
asio::awaitable<void> Task::undo_restore() {
  if (std::exchange(runtime_ran_, false)) {
    co_await side_.runner.run(
        side_.limited(oci::delete_command(side_.runtime(api::kRuntimeLogFile), side_.id, true)));
    co_await kill_leftovers(side_.config.cgroups_path, side_.limits.kill, side_.loggers.groups);
    remove_cgroup(side_.config.cgroups_path);
  }
  if (pid_ > 0) side_.reaper.drop(pid_);
  pid_ = 0;
  pid_start_ = 0;
  pidfd_.reset();
}

asio::awaitable<void> Task::start_restored() {
  std::exception_ptr failure;
  starting_ = true;
  started_ns_ = wall_ns();
  try {
    co_await restore();
    take_layer();
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure) {
    co_await undo_restore();
    started_ns_ = api::kNotYet;
    starting_ = false;
    if (std::exchange(killed_, false) && !ended_) end_unstarted(SIGKILL);
    std::rethrow_exception(failure);
  }
  set_status(api::Status::kRunning);
  side_.publisher.publish(api::TaskStart{side_.id, pid()});
  starting_ = false;
  watch_oom();
  shim::start(side_.loop, settle(), "settling the end of task " + side_.id);
  if (killed_) kill_all();  // it came when there was nobody yet
}

// Until here whatever fails leaves the container's own layer where it was.
void Task::take_layer() {
  if (restoring_.layer.empty()) return;
  if (::renameat2(AT_FDCWD, restoring_.layer.c_str(), AT_FDCWD, restoring_.replaced.c_str(),
                  RENAME_EXCHANGE) < 0)
    throw sys_error("putting the layer of a checkpoint into the place of " + restoring_.replaced);
}

// While Start restores it, SIGKILL is remembered.
void Task::kill_unstarted(uint32_t signal) {
  if (signal == 0) return;
  if (!starting_) return end_unstarted(static_cast<int>(signal));
  if (signal != SIGKILL)
    throw failed_precondition("task " + side_.id + " takes no signal: it is being restored",
                              Kind::kTask);
  killed_ = true;
}

// Nothing runs that could be signalled: any signal is its end.
void Task::end_unstarted(int signal) {
  ended_ = Ended{.status = 128 + signal, .signal = signal, .time_ns = wall_ns()};
  side_.over = true;
  shim::start(side_.loop, settle_unstarted(), "settling the end of task " + side_.id);
}

asio::awaitable<void> Task::settle_unstarted() {
  stdio_->close_child_ends();
  output_cut_ = co_await drain(Stdio::Output::kKept);
  stop();
}

}  // namespace ctrd::shim
