// SPDX-License-Identifier: Apache-2.0
#include "shim/runner.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "base/error.h"
#include "base/files.h"
#include "shim/spawn.h"

namespace ctrd::shim {
namespace {

constexpr off_t kLogTail = 64 << 10;
constexpr off_t kMaxWords = 64 << 10;
constexpr Nanos kGroupEnds = std::chrono::seconds(2), kRoundEvery = std::chrono::milliseconds(2);

// Its group, so that a script's children go too.
void kill_group(pid_t pid) { ::kill(-pid, SIGKILL); }

// Of one that failed: somebody may have killed it alone, and its criu would go on, up to leaving
// the task frozen as it had found it.
asio::awaitable<void> end_group(pid_t pid) {
  for (TimePoint deadline = after(kGroupEnds); Clock::now() < deadline;) {
    kill_group(pid);
    if (::kill(-pid, 0) < 0) co_return;  // all reaped
    co_await pause_for(kRoundEvery);
  }
}

UniqueFd memory_file(const std::string& text) {
  UniqueFd file(::memfd_create("input", MFD_CLOEXEC));
  if (!file) throw sys_error("making a file in memory for a runtime's input");
  write_all(file.get(), text);
  if (::lseek(file.get(), 0, SEEK_SET) < 0) throw sys_error("rewinding a runtime's input");
  return file;
}

// For a runtime's words on its standard error. A file, so that neither one that says much nor a
// child that keeps it open holds anybody up; it cannot grow, so that what comes then is refused.
// Closed if there can be none: a verb is worth more than its words.
UniqueFd words_file() {
  UniqueFd file(::memfd_create("words", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  bool made = file && ::ftruncate(file.get(), kMaxWords) == 0 &&
              ::fcntl(file.get(), F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK) == 0;
  return made ? std::move(file) : UniqueFd();
}

// What was not written is zeros.
std::string words_in(const UniqueFd& file) {
  std::string text(kMaxWords, '\0');
  ssize_t n = ::pread(file.get(), text.data(), text.size(), 0);
  text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  text.resize(text.find_last_not_of('\0') + 1);
  return text;
}

std::string tail_of(const std::string& path) {
  UniqueFd log(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  struct stat facts {};
  if (!log || ::fstat(log.get(), &facts) < 0 || !S_ISREG(facts.st_mode)) return {};
  std::string text(static_cast<std::size_t>(std::min(facts.st_size, kLogTail)), '\0');
  ssize_t n =
      ::pread(log.get(), text.data(), text.size(), std::max<off_t>(0, facts.st_size - kLogTail));
  text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  return text;
}

}  // namespace

Runner::Runner(Reaper& reaper) : reaper_(reaper), null_(::open("/dev/null", O_RDWR | O_CLOEXEC)) {
  if (!null_) throw sys_error("opening /dev/null");
}

Runner::Running Runner::launch(const oci::Command& command, std::array<int, 3> stdio) {
  // Runtimes append, and an old error must not pass for a new one.
  ::unlink(command.log.c_str());
  UniqueFd input;
  if (!command.input.empty()) {
    input = memory_file(command.input);
    stdio[0] = input.get();
  }
  for (int& fd : stdio)
    if (fd < 0) fd = null_.get();
  Spawned child = spawn(command.argv, stdio, command.env);
  if (child.launch_errno != 0) return {.pid = -1, .launch_errno = child.launch_errno};
  reaper_.expect(child.pid);
  running_.insert(child.pid);
  return {.pid = child.pid, .deadline = after(command.deadline), .log = command.log};
}

asio::awaitable<oci::Outcome> Runner::outcome(Running running) {
  oci::Outcome outcome;
  outcome.launch_errno = running.launch_errno;
  outcome.status = 127;
  if (running.launch_errno != 0) co_return outcome;
  std::optional<Ended> ended = co_await reaper_.wait(running.pid, running.deadline);
  if (!ended) {
    kill_group(running.pid);
    ended = co_await reaper_.wait(running.pid);
    outcome.timed_out = true;
  }
  running_.erase(running.pid);
  ended_.notify();
  outcome.status = ended->status;
  if (ended->status != 0) {
    co_await end_group(running.pid);
    outcome.log = tail_of(running.log);
  }
  co_return outcome;
}

asio::awaitable<oci::Outcome> Runner::run(oci::Command command) {
  UniqueFd words = words_file();
  Running running = launch(command, {-1, -1, words.get()});
  oci::Outcome ended = co_await outcome(std::move(running));
  if (ended.status != 0) ended.err = words_in(words);
  co_return ended;
}

void Runner::abort() {
  for (pid_t pid : running_) kill_group(pid);
}

asio::awaitable<bool> Runner::idle(TimePoint deadline) {
  while (!running_.empty() && Clock::now() < deadline) co_await ended_.wait(deadline);
  co_return running_.empty();
}

}  // namespace ctrd::shim
