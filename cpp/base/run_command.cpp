// SPDX-License-Identifier: Apache-2.0
// run_command of spawn.h. The input is a file in memory, so nothing has to be written while the
// child runs, and a child that does not read cannot raise SIGPIPE here. The outputs are pipes.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/error.h"
#include "base/files.h"
#include "base/pidfd.h"
#include "base/spawn.h"

namespace ctrd {
namespace {

// A killed process may be stuck in the kernel for a while.
constexpr Nanos kKillLimit = std::chrono::seconds(10);

UniqueFd input_file(const std::string& input) {
  UniqueFd file(::memfd_create("ctrd-stdin", MFD_CLOEXEC));
  if (!file) throw sys_error("make a file in memory for a command's input");
  write_all(file.get(), input);
  if (::lseek(file.get(), 0, SEEK_SET) < 0) throw sys_error("rewind a command's input");
  return file;
}

struct Stream {
  UniqueFd reader;
  UniqueFd writer;  // the child's end, ours until it runs
  std::string* into = nullptr;
};

Stream open_stream(std::string* into) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) < 0) throw sys_error("make a pipe for a command's output");
  Stream stream{UniqueFd(ends[0]), UniqueFd(ends[1]), into};
  if (::fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0) throw sys_error("set a pipe to non-blocking");
  return stream;
}

// One read: its bytes, 0 when there is nothing now; at the end of the stream the reader is closed
// too.
std::size_t read_some(Stream& stream, std::size_t max) {
  std::array<char, 16384> buffer;
  ssize_t got = 0;
  do got = ::read(stream.reader.get(), buffer.data(), buffer.size());
  while (got < 0 && errno == EINTR);
  if (got < 0 && errno != EAGAIN) throw sys_error("read a command's output");
  if (got == 0) stream.reader.reset();
  if (got <= 0) return 0;
  auto size = static_cast<std::size_t>(got);
  std::size_t room = max - std::min(max, stream.into->size());
  stream.into->append(buffer.data(), std::min(room, size));
  return size;
}

// All that the child itself has written is in the pipe when it has ended. What a grandchild adds
// that keeps the pipe is not waited for, and one that never stops writing cannot hold us: a pipe's
// capacity is read at most.
void drain(Stream& stream, std::size_t max) {
  if (!stream.reader) return;
  int capacity = ::fcntl(stream.reader.get(), F_GETPIPE_SZ);
  std::size_t left = capacity > 0 ? static_cast<std::size_t>(capacity) : 65536;
  while (left > 0 && stream.reader) {
    std::size_t got = read_some(stream, max);
    if (got == 0) return;
    left -= std::min(left, got);
  }
}

class Running {
 public:
  Running(SpawnSpec spec, const std::string& input, Output* output, std::size_t max)
      : max_(max), group_(spec.new_session) {
    auto is_free = [&](int number) {
      return std::none_of(spec.fds.begin(), spec.fds.end(),
                          [&](const auto& fd) { return fd.second == number; });
    };
    UniqueFd file;
    if (!input.empty() && is_free(0)) spec.fds.emplace_back((file = input_file(input)).get(), 0);
    if (is_free(1)) add(spec, 0, 1, &output->out);
    if (is_free(2)) add(spec, 1, 2, &output->err);
    child_ = spawn(spec);
    for (auto& stream : streams_) stream.writer.reset();
  }

  // False at the deadline.
  bool pump(const Wait& wait) {
    for (;;) {
      std::array<pollfd, 3> fds = {pollfd{child_.pidfd.get(), POLLIN, 0},
                                   pollfd{streams_[0].reader.get(), POLLIN, 0},
                                   pollfd{streams_[1].reader.get(), POLLIN, 0}};
      if (!child_.pidfd) return true;
      if (poll_until(fds, wait) == 0) return false;
      for (std::size_t i : {0u, 1u})
        if (fds[i + 1].revents) read_some(streams_[i], max_);
      if (fds[0].revents) return true;
      // A stream that is never empty must not hide the deadline from poll.
      if (wait.expired()) return false;
    }
  }

  void drain_all() {
    for (auto& stream : streams_) drain(stream, max_);
  }

  // With a session of its own, its process group goes with it. It is not reaped yet: the numbers
  // are its own.
  void kill() {
    if (!child_.pidfd) return;
    if (group_) ::kill(-child_.pid, SIGKILL);
    raw_pidfd_send_signal(child_.pidfd.get(), SIGKILL);
  }

  Exit finish() {
    auto exit = reap(child_, {after(kKillLimit), {}});
    return exit ? *exit : Exit{128 + SIGKILL, SIGKILL};
  }

 private:
  void add(SpawnSpec& spec, std::size_t index, int number, std::string* into) {
    streams_[index] = open_stream(into);
    spec.fds.emplace_back(streams_[index].writer.get(), number);
  }

  std::array<Stream, 2> streams_;
  std::size_t max_;
  bool group_;
  Child child_;
};

// With SIGCHLD ignored the kernel keeps no exit status of any child, and every program seems to
// fail.
void need_exit_status(const std::string& program) {
  struct sigaction action {};
  ::sigaction(SIGCHLD, nullptr, &action);
  if (action.sa_handler != SIG_IGN && !(action.sa_flags & SA_NOCLDWAIT)) return;
  throw failed_precondition("\"" + program +
                            "\" cannot be run: this process ignores SIGCHLD, so the exit status of "
                            "its children is lost")
      .with("hint", "signal.signal(signal.SIGCHLD, signal.SIG_DFL) before the first use of ctrd");
}

}  // namespace

Output run_command(SpawnSpec spec, const std::string& input, const Wait& wait,
                   std::size_t max_output) {
  need_exit_status(spec.argv.at(0));
  Output output;
  Running running(std::move(spec), input, &output, max_output);
  try {
    output.timed_out = !running.pump(wait);
  } catch (...) {
    running.kill();
    running.finish();
    throw;
  }
  if (output.timed_out) running.kill();
  output.exit = running.finish();
  running.drain_all();
  return output;
}

}  // namespace ctrd
