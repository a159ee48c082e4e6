// SPDX-License-Identifier: Apache-2.0
// Attach: what is typed goes to the process, what it prints to the caller, in the caller's thread,
// until it ends or the detach keys are typed. Through our own pipes if we have them, else through
// the FIFO that the shim keeps open and the framed log, as any process may. Source: design.md 7.
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "api/frame_log.h"
#include "base/error.h"
#include "base/files.h"
#include "engine/detach_keys.h"
#include "engine/log_watch.h"
#include "engine/run_streams.h"
#include "engine/terminal.h"
#include "engine/verbs.h"

namespace ctrd::engine {
namespace {

constexpr std::size_t kChunk = 64 << 10;
constexpr int kFromTheBeginning = -2;  // AttachOptions.from: its log, with what is in it already
constexpr Nanos kLastBytes = std::chrono::seconds(2);  // for output that outlives the process

class Attached {
 public:
  Attached(Core& core, const ProcessRef& ref, const AttachOptions& options, UniqueFd* in,
           const Wait& wait);
  // nullopt: detached.
  std::optional<ExitStatus> run();

 private:
  void open_log();
  void poll(bool typing);
  void read_typed();
  void feed();
  void end_input();
  void read_output(int from, int to, UniqueFd* source);
  void read_log();
  void put(int to, std::string_view data);
  void follow_size();
  bool output_ended() const;
  void drain();

  Core& core_;
  const ProcessRef& ref_;
  const AttachOptions& options_;
  const Wait& wait_;
  UniqueFd* in_;  // our end of its stdin; the caller's, closed when the input ends
  bool own_in_;   // then the end of our input is the end of its
  UniqueFd out_, err_, log_watch_, parked_;
  std::optional<api::LogReader> log_;
  bool tty_ = false, typing_ = true, detached_ = false, ended_ = false;
  DetachKeys keys_;
  std::string pending_;  // typed, for the process
  std::optional<std::pair<uint16_t, uint16_t>> size_;
};

UniqueFd dup_of(int fd) {
  if (fd < 0) return {};
  UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!copy) throw sys_error("dup a pipe");
  return copy;
}

Attached::Attached(Core& core, const ProcessRef& ref, const AttachOptions& options, UniqueFd* in,
                   const Wait& wait)
    : core_(core),
      ref_(ref),
      options_(options),
      wait_(wait),
      in_(in),
      own_in_(static_cast<bool>(*in)),
      out_(dup_of(options.from)),
      err_(dup_of(options.from_err)),
      keys_(options.detach_keys) {
  TaskState state = process_state(core, ref, wait);
  tty_ = state.tty;
  if (!out_ && !err_) open_log();
  if (!*in_) *in_ = open_kept_stdin(core, ref, wait);
  typing_ = *in_ || !options.detach_keys.empty();
  parked_ = park_wait(core, ref, wait);
}

// From now on, what it printed before is logs()'s to tell; or all of it.
void Attached::open_log() {
  if (!ref_.exec.empty() || ref_.pid != 0)
    throw failed_precondition("process \"" + ref_.exec + "\": only who started it has its output",
                              Kind::kProcess);
  Task task = get_task(core_, ref_.task, wait_);
  auto dir = find_dir_at(core_.root.logs.get(), task.status.instance);
  if (!dir) throw failed_precondition("container \"" + task.id + "\": its output has no log");
  log_watch_ = watch_log(dir->get());
  log_.emplace(std::move(*dir));
  bool skips = options_.from != kFromTheBeginning;
  while (skips && log_->next()) wait_.check();
}

void Attached::put(int to, std::string_view data) {
  while (!data.empty()) {
    wait_ready(to, POLLOUT, {kForever, wait_.interrupted}, "write what the process printed");
    ssize_t put = ::write(to, data.data(), std::min<std::size_t>(data.size(), PIPE_BUF));
    if (put > 0) data.remove_prefix(static_cast<std::size_t>(put));
    if (put < 0 && errno != EAGAIN && errno != EINTR) throw sys_error("write to the terminal");
  }
}

void Attached::read_output(int from, int to, UniqueFd* source) {
  char buffer[kChunk];
  ssize_t got = ::read(from, buffer, sizeof buffer);
  if (got > 0) return put(to, {buffer, static_cast<std::size_t>(got)});
  if (got == 0 || (errno != EAGAIN && errno != EINTR)) source->reset();
}

void Attached::read_log() {
  while (auto record = log_->next())
    put(record->stream == api::Stream::kStderr ? options_.err : options_.out, record->data);
}

// All of them have gone, or the caller's input has ended.
void Attached::end_input() {
  typing_ = false;
  keys_.finish(&pending_);
}

void Attached::read_typed() {
  char buffer[4096];
  ssize_t got = ::read(options_.in, buffer, sizeof buffer);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) return end_input();  // a terminal that was hung up is an end too
  detached_ = keys_.pass({buffer, static_cast<std::size_t>(got)}, &pending_);
  if (!*in_) pending_.clear();
}

void Attached::feed() {
  ssize_t put = ::write(in_->get(), pending_.data(), std::min(pending_.size(), kChunk));
  if (put > 0) pending_.erase(0, static_cast<std::size_t>(put));
  if (put < 0 && errno != EAGAIN && errno != EINTR) {
    pending_.clear();
    in_->reset();  // it reads no more
  }
}

void Attached::follow_size() {
  if (!tty_ || ended_) return;
  auto now = terminal_size(options_.out);
  if (!now) now = terminal_size(options_.in);
  if (!now || now == size_) return;
  size_ = now;
  try {
    resize(core_, ref_, now->first, now->second, wait_);
  } catch (const Error& error) {  // it has just ended
    if (error.code() != Code::kNotFound && error.code() != Code::kFailedPrecondition) throw;
  }
}

void Attached::poll(bool typing) {
  pollfd fds[] = {
      {typing ? options_.in : -1, POLLIN, 0},
      {pending_.empty() ? -1 : in_->get(), POLLOUT, 0},
      {out_.get(), POLLIN, 0},
      {err_.get(), POLLIN, 0},
      {log_watch_.get(), POLLIN, 0},
      {ended_ ? -1 : parked_.get(), POLLIN, 0},
  };
  poll_until(fds, wait_.within(kLookAgain));
  if (fds[0].revents) read_typed();
  if (fds[1].revents) feed();
  if (fds[2].revents) read_output(out_.get(), options_.out, &out_);
  if (fds[3].revents) read_output(err_.get(), options_.err, &err_);
  if (fds[4].revents) forget_changes(&log_watch_);
  if (fds[5].revents) ended_ = true;
  if (log_) read_log();
}

bool Attached::output_ended() const { return log_ ? log_->ended() : !out_ && !err_; }

void Attached::drain() {
  Wait limit = wait_.within(kLastBytes);
  while (!output_ended() && !limit.expired()) {
    wait_.check();
    poll(false);
  }
}

std::optional<ExitStatus> Attached::run() {
  RawTerminal raw(options_.in, tty_);
  while (!ended_) {
    follow_size();
    poll(typing_ && pending_.size() < kChunk);
    if (detached_) return std::nullopt;
    bool over = own_in_ && !typing_ && pending_.empty() && *in_;
    if (!over) continue;
    in_->reset();
    close_stdin(core_, ref_, wait_);
  }
  drain();
  if (ref_.exec.empty() && ref_.pid == 0) return wait_task(core_, ref_.task, wait_);
  return wait_process(core_, ref_, wait_);
}

}  // namespace

std::optional<ExitStatus> attach(Core& core, const ProcessRef& ref, const AttachOptions& options,
                                 UniqueFd* in, const Wait& wait) {
  NoSigpipe guard;
  return Attached(core, ref, options, in, wait).run();
}

}  // namespace ctrd::engine
