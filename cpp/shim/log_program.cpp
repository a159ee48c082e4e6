// SPDX-License-Identifier: Apache-2.0
#include "shim/log_program.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/text.h"
#include "shim/spawn.h"

namespace ctrd::shim {
namespace {

constexpr Nanos kTryEvery = std::chrono::milliseconds(1);
constexpr int kFirstOwn = 6;  // above what it has
constexpr mode_t kDirMode = 0700;
constexpr mode_t kFileMode = 0600;
constexpr const char* kDir = "loggers";  // of the bundle: a file for each, named by its pid

UniqueFd above(UniqueFd fd) {
  if (fd.get() >= kFirstOwn) return fd;
  UniqueFd copy(::fcntl(fd.get(), F_DUPFD_CLOEXEC, kFirstOwn));
  if (!copy) throw sys_error("duplicating a pipe for a log program");
  return copy;
}

struct Pipe {
  UniqueFd reader, writer;
};

Pipe make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) < 0) throw sys_error("making a pipe for a log program");
  UniqueFd reader(ends[0]), writer(ends[1]);
  return {.reader = above(std::move(reader)), .writer = above(std::move(writer))};
}

void set_non_blocking(const UniqueFd& fd) {
  if (::fcntl(fd.get(), F_SETFL, O_NONBLOCK) < 0)
    throw sys_error("making a pipe of a log program non-blocking");
}

// Its environment is this and nothing more.
Spawned spawn_with(const LogProgram& program, const std::vector<int>& pipes, const std::string& id,
                   const std::string& ns) {
  UniqueFd null = above(UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC)));
  std::vector<int> fds(3, null.get());
  fds.insert(fds.end(), pipes.begin(), pipes.end());
  return spawn(Program{.argv = program.argv,
                       .fds = std::move(fds),
                       .env = {"CONTAINER_ID=" + id, "CONTAINER_NAMESPACE=" + ns},
                       .death_signal = SIGTERM});
}

// None of a file that a killed shim has left half-written, by another name.
std::optional<ProcessKey> read_record(int dir, const std::string& name) {
  auto pid = to_number(name);
  if (!pid || *pid == 0 || *pid > std::numeric_limits<pid_t>::max()) return std::nullopt;
  std::optional<std::string> text = find_file_at(dir, name, 256);
  std::size_t space = text ? text->find(' ') : std::string::npos;
  if (space == std::string::npos) return std::nullopt;
  auto start = to_number(std::string_view(*text).substr(0, space));
  if (!start) return std::nullopt;
  return ProcessKey{
      .pid = static_cast<pid_t>(*pid), .start = *start, .boot = text->substr(space + 1)};
}

void end_recorded(const ProcessKey& key, const Wait& wait) {
  std::optional<UniqueFd> pidfd = open_pidfd(key);
  if (!pidfd) return;
  pollfd entry{.fd = pidfd->get(), .events = POLLIN, .revents = 0};
  if (poll_until({&entry, 1}, wait) == 0) ::kill(-key.pid, SIGKILL);  // it has that number still
}

}  // namespace

asio::awaitable<std::shared_ptr<Logger>> Logger::run(LogPrograms& all, LogProgram program,
                                                     std::string id, Patience patience) {
  Pipe out = make_pipe(), err = make_pipe(), ready = make_pipe();
  for (const UniqueFd* ours : {&out.writer, &err.writer, &ready.reader}) set_non_blocking(*ours);
  Spawned child =
      spawn_with(program, {out.reader.get(), err.reader.get(), ready.writer.get()}, id, all.ns);
  if (child.launch_errno != 0)
    throw invalid("stdout", program.argv.front(),
                  std::string("cannot be executed: ") + std::strerror(child.launch_errno));
  all.reaper.expect(child.pid);
  auto made = std::make_shared<Logger>(all, child.pid);
  made->outputs_ = {std::move(out.writer), std::move(err.writer)};
  all.groups.insert(child.pid);
  made->record();
  start(all.loop, watch(made), "waiting for a log program");
  for (UniqueFd* theirs : {&out.reader, &err.reader, &ready.writer}) theirs->reset();
  std::string name = program.argv.front();
  try {
    co_await made->be_ready(std::move(ready.reader), std::move(name), program.must_say,
                            std::move(patience));
  } catch (...) {
    made->signal(SIGKILL);
    throw;
  }
  co_return made;
}

asio::awaitable<void> Logger::be_ready(UniqueFd pipe, std::string name, bool must_say,
                                       Patience patience) {
  for (;;) {
    char word = 0;
    ssize_t n = ::read(pipe.get(), &word, 1);
    if (n > 0 || (n == 0 && !must_say)) co_return;
    if (n == 0) throw invalid("stdout", name, "has not said that it is ready");
    if (errno != EAGAIN && errno != EINTR) throw sys_error("reading from log program " + name);
    if (patience.given_up && patience.given_up())
      throw Error(Code::kAborted, "waiting for log program " + name + ": given up");
    if (Clock::now() >= patience.deadline)
      throw_timeout("stdout: waiting for log program " + name + " to be ready");
    co_await pause_for(kTryEvery);
  }
}

asio::awaitable<void> Logger::watch(std::shared_ptr<Logger> self) {
  co_await self->all_.reaper.wait(self->pid_);
  self->ended_ = true;
  self->all_.groups.erase(self->pid_);
  self->all_.bundle.try_remove(self->file());
  self->changed_.notify();
}

void Logger::close_outputs() {
  for (UniqueFd& output : outputs_) output.reset();
}

asio::awaitable<void> Logger::end(std::shared_ptr<Logger> self) {
  self->close_outputs();
  for (int number : {0, SIGTERM, SIGKILL}) {
    if (number != 0) self->signal(number);
    TimePoint deadline = after(self->all_.patience);
    while (!self->ended_ && Clock::now() < deadline) co_await self->changed_.wait(deadline);
    if (self->ended_) co_return;
  }
  log(Level::kError, "log program " + std::to_string(self->pid_) + " was killed but does not end");
}

// Its group: a script's children go too. Its number is its own until it is reaped.
void Logger::signal(int number) {
  if (!ended_ && !all_.reaper.has_ended(pid_)) ::kill(-pid_, number);
}

std::string Logger::file() const { return std::string(kDir) + "/" + std::to_string(pid_); }

// For who comes after us, if we are killed.
void Logger::record() {
  try {
    UniqueFd dir = make_dirs_at(all_.bundle.dir(), kDir, kDirMode);
    uint64_t start = start_time(pid_, false).value_or(0);
    std::string text = std::to_string(start) + " " + boot_id();
    replace_file_at(dir.get(), std::to_string(pid_), text, kFileMode, false);
  } catch (const Error& error) {
    log(Level::kWarning, error.message());
  }
}

void end_log_programs(int bundle, Nanos limit) {
  std::optional<UniqueFd> dir = find_dir_at(bundle, kDir);
  if (!dir) return;
  Wait wait{.deadline = after(limit), .interrupted = {}};
  for (const std::string& name : list_dir(dir->get()))
    if (auto key = read_record(dir->get(), name)) end_recorded(*key, wait);
}

}  // namespace ctrd::shim
