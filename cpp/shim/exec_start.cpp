// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <exception>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "oci/json.h"
#include "shim/child.h"
#include "shim/exec.h"

namespace ctrd::shim {
namespace {

constexpr const char* kLogFile = "log.json";

}  // namespace

asio::awaitable<api::StartResponse> Exec::start(TimePoint deadline) {
  std::shared_ptr<Exec> self = shared_from_this();
  if (status_ != api::Status::kCreated || starting_ || failed_) throw wrong_state("started");
  task_.check_takes_execs();
  starting_ = true;
  std::exception_ptr failure;
  try {
    co_await make(deadline);
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure) co_await give_up();
  starting_ = false;
  if (!failure) {
    status_ = api::Status::kRunning;
    task_.publisher.publish_new(api::TaskExecStarted{task_.id, id(), pid()});
    shim::start(task_.loop, settle(self), "settling the end of " + name());
    if (timeout_ns_ > 0)
      shim::start(task_.loop, watch_limit(self, after(Nanos(timeout_ns_))),
                  "limiting the time of " + name());
  }
  changed_.notify();
  if (failure && task_.over) task_.check_takes_execs();  // whatever a runtime made of it
  if (failure) std::rethrow_exception(failure);
  co_return api::StartResponse{.pid = pid()};
}

asio::awaitable<void> Exec::open_stdio(TimePoint deadline) {
  Patience patience{.deadline = std::min(deadline, after(task_.limits.fifo)),
                    .given_up = [this] { return task_.over || killed_; }};
  StdioPaths where = paths();
  co_await stdio_.run_program(where, task_.loggers, id(), patience);
  co_await stdio_.open(std::move(where), task_.options, patience, request_.terminal);
}

asio::awaitable<void> Exec::make(TimePoint deadline) {
  co_await open_stdio(deadline);
  std::optional<Lock::Guard> place =
      co_await task_.exec_places.try_acquire(std::min(deadline, after(task_.limits.place)));
  task_.check_takes_execs();  // it may have waited
  if (!place)
    throw Error(Code::kDeadlineExceeded, name() + ": too many are being started", Kind::kProcess);
  if (killed_) throw Error(Code::kAborted, name() + " was killed at its start", Kind::kProcess);
  if (timeout_ns_ > 0) make_cgroup();
  std::optional<ConsoleSocket> console;
  if (request_.terminal) console.emplace(open_dir_at(task_.bundle.dir(), dir()));
  if (size_) apply_size();
  Reaper::Keep keep(task_.reaper);
  oci::Command exec = command(console);
  oom_kills_ = task_.oom_kills_seen;
  started_ns_ = wall_ns();  // before the runtime's exec, so that a duration is never 0
  Runner::Running running = task_.runner.launch(exec, stdio_.child_ends());
  stdio_.close_child_ends();
  oci::Outcome outcome = co_await task_.runner.outcome(std::move(running));
  oci::check(exec, outcome);
  adopt(keep);
  if (killed_) try_kill(pidfd_);
  if (!console) co_return;
  UniqueFd master = co_await console->receive();
  stdio_.connect(std::move(master));
  if (size_) stdio_.resize(*size_);  // one that came meanwhile
}

void Exec::make_cgroup() {
  std::string number = std::to_string(++task_.exec_cgroups_made);
  cgroup_.make(task_.config.cgroups_path, "exec-" + id() + "-" + number);
}

// runc gives it to the terminal before the program runs. crun 1.8 does so while it may be running
// already: then the program finds no size first and gets a SIGWINCH.
void Exec::apply_size() {
  UniqueFd at = open_dir_at(task_.bundle.dir(), dir());
  oci::Json process = oci::parse_json(read_file_at(at.get(), api::kProcessFile), "process");
  process["consoleSize"] = {{"width", size_->columns}, {"height", size_->rows}};
  write_process(oci::dump_json(process, "process"));
}

oci::Command Exec::command(const std::optional<ConsoleSocket>& console) const {
  oci::ExecFiles files{.process = task_.bundle.file(dir() + "/" + api::kProcessFile),
                       .pid_file = task_.bundle.file(dir() + "/" + api::kExecPidFile)};
  if (console) files.console_socket = console->path();
  if (cgroup_.exists()) files.cgroup = cgroup_.name();
  return task_.limited(oci::exec_command(task_.runtime(dir() + "/" + kLogFile), task_.id, files));
}

void Exec::adopt(const Reaper::Keep& keep) {
  pid_t pid = task_.bundle.read_pid(dir() + "/" + api::kExecPidFile);
  if (!task_.reaper.adopt(pid, keep)) throw no_child_of(task_.options.binary_name, pid);
  pid_ = pid;
  if (task_.reaper.has_ended(pid)) return;
  pidfd_ = open_child(pid);
}

// Whatever it had come to. A process that the runtime had made before it was killed itself must not
// run on unseen.
asio::awaitable<void> Exec::give_up() {
  failed_ = true;
  stdio_.shut();
  started_ns_ = api::kNotYet;
  if (pid_ == 0) try_adopt();
  try_kill(pidfd_);
  TimePoint deadline = after(task_.limits.kill);
  co_await cgroup_.kill(deadline);
  remove_cgroup();
  if (pid_ == 0) co_return;
  co_await task_.reaper.wait(pid_, deadline);
  task_.reaper.drop(pid_);
  pidfd_.reset();
  pid_ = 0;
}

void Exec::try_adopt() {
  Reaper::Keep keep(task_.reaper);
  try {
    adopt(keep);
  } catch (const Error&) {
    return;  // there is none
  }
}

}  // namespace ctrd::shim
