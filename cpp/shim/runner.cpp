// SPDX-License-Identifier: Apache-2.0
#include "shim/runner.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "base/error.h"
#include "shim/spawn.h"

namespace ctrd::shim {
namespace {

constexpr off_t kLogTail = 64 << 10;

}  // namespace

Runner::Runner(Reaper& reaper, std::string log_path)
    : reaper_(reaper),
      log_path_(std::move(log_path)),
      null_(::open("/dev/null", O_RDWR | O_CLOEXEC)) {
  if (!null_) throw sys_error("opening /dev/null");
}

Runner::Running Runner::launch(const oci::Command& command, std::array<int, 3> stdio) {
  ::unlink(log_path_.c_str());  // runtimes append, and an old error must not pass for a new one
  for (int& fd : stdio)
    if (fd < 0) fd = null_.get();
  Spawned child = spawn(command.argv, stdio);
  if (child.launch_errno != 0)
    return {.pid = -1, .launch_errno = child.launch_errno, .deadline = {}};
  reaper_.expect(child.pid);
  running_ = child.pid;
  return {.pid = child.pid, .launch_errno = 0, .deadline = after(command.deadline)};
}

asio::awaitable<oci::Outcome> Runner::outcome(Running running) {
  oci::Outcome outcome;
  outcome.launch_errno = running.launch_errno;
  outcome.status = 127;
  if (running.launch_errno != 0) co_return outcome;
  std::optional<Ended> ended = co_await reaper_.wait(running.pid, running.deadline);
  if (!ended) {
    abort();
    ended = co_await reaper_.wait(running.pid);
    outcome.timed_out = true;
  }
  running_ = -1;
  outcome.status = ended->status;
  if (ended->status != 0) outcome.log = tail_of_log();
  co_return outcome;
}

asio::awaitable<oci::Outcome> Runner::run(oci::Command command) {
  Running running = launch(command);
  co_return co_await outcome(running);
}

void Runner::abort() {
  if (running_ > 0) ::kill(-running_, SIGKILL);  // its group, so that a script's children go too
}

std::string Runner::tail_of_log() const {
  UniqueFd log(::open(log_path_.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  struct stat facts {};
  if (!log || ::fstat(log.get(), &facts) < 0 || !S_ISREG(facts.st_mode)) return {};
  std::string text(static_cast<std::size_t>(std::min(facts.st_size, kLogTail)), '\0');
  ssize_t n =
      ::pread(log.get(), text.data(), text.size(), std::max<off_t>(0, facts.st_size - kLogTail));
  text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  return text;
}

}  // namespace ctrd::shim
