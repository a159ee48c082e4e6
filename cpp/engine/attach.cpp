// SPDX-License-Identifier: Apache-2.0
// Attach: what is typed goes to the process, what it prints to the caller, in the caller's thread,
// until it ends or the detach keys are typed. Through our own pipes if we have them, else through
// the FIFO that the shim keeps open and the framed log, as any process may. One poll for all of it:
// whoever reads slowly does not keep the keyboard waiting. Source: design.md 7.
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
#include "engine/other_shim.h"
#include "engine/other_task.h"
#include "engine/run_streams.h"
#include "engine/terminal.h"
#include "engine/verbs.h"

namespace ctrd::engine {
namespace {

constexpr std::size_t kChunk = 64 << 10;
constexpr int kFromTheBeginning = -2;  // AttachOptions.from: its log, with what is in it already
// For output that outlives the process: how long it may be silent, and how long in all. What it has
// printed itself is in pipes already; the time that the caller takes to read does not count.
constexpr Nanos kSilence = std::chrono::seconds(2);
constexpr Nanos kLastBytes = std::chrono::seconds(5);
constexpr Nanos kLastKeys = std::chrono::seconds(1);  // for what was typed before the detach keys

// One stream on its way to the caller. Nothing more is read of it while that is not written.
struct Output {
  pollfd wants(bool reading) const {
    if (!pending.empty()) return {to, POLLOUT, 0};
    return {reading ? from.get() : -1, POLLIN, 0};
  }

  UniqueFd from;  // closed: it has ended, or comes from the log
  int to;
  std::string pending;
};

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
  void move(Output* output);
  void flush(Output* output);
  void read_output(Output* output);
  void read_log();
  void follow_size();
  bool all_written() const { return out_.pending.empty() && err_.pending.empty(); }
  bool output_ended() const;
  void drain();
  void leave();

  Core& core_;
  const ProcessRef& ref_;
  const AttachOptions& options_;
  const Wait& wait_;
  UniqueFd* in_;  // our end of its stdin; the caller's, closed when the input ends
  bool own_in_;   // then the end of our input is the end of its
  Output out_, err_;
  UniqueFd log_watch_, parked_;
  std::optional<api::LogReader> log_;
  bool more_ = false;     // the log may have another record
  bool reading_ = true;   // of its output
  bool printed_ = false;  // since drain() asked
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

// They are typed: in what comes from a pipe or a file those bytes are bytes.
std::string keys_of(const AttachOptions& options) {
  return ::isatty(options.in) != 0 ? options.detach_keys : "";
}

Attached::Attached(Core& core, const ProcessRef& ref, const AttachOptions& options, UniqueFd* in,
                   const Wait& wait)
    : core_(core),
      ref_(ref),
      options_(options),
      wait_(wait),
      in_(in),
      own_in_(static_cast<bool>(*in)),
      out_{dup_of(options.from), options.out, ""},
      err_{dup_of(options.from_err), options.err, ""},
      keys_(keys_of(options)) {
  TaskState state = process_state(core, ref, wait);
  tty_ = state.tty;
  if (!out_.from && !err_.from) open_log();
  if (!*in_) *in_ = open_kept_stdin(core, ref, wait);
  typing_ = *in_ || !keys_of(options).empty();
  parked_ = park_wait(core, ref, wait);
}

// From now on, what it printed before is logs()'s to tell; or all of it.
void Attached::open_log() {
  if (!ref_.exec.empty() || ref_.pid != 0)
    throw failed_precondition("process \"" + ref_.exec + "\": only who started it has its output",
                              Kind::kProcess);
  Task task = get_task(core_, ref_.task, wait_);
  auto dir = find_dir_at(core_.root.logs.get(), task.status.instance);
  if (!dir && is_other(task))
    throw lacks(task.status.other_shim, "log to attach to", "attach where its pipes are");
  if (!dir) throw failed_precondition("container \"" + task.id + "\": its output has no log");
  log_watch_ = watch_log(dir->get());
  log_.emplace(std::move(*dir));
  bool skips = options_.from != kFromTheBeginning;
  while (skips && log_->next()) wait_.check();
}

void Attached::move(Output* output) {
  if (output->pending.empty())
    read_output(output);
  else
    flush(output);
}

// A ready pipe or terminal takes PIPE_BUF bytes without blocking, even if it is a blocking one.
void Attached::flush(Output* output) {
  std::string& pending = output->pending;
  ssize_t put =
      ::write(output->to, pending.data(), std::min<std::size_t>(pending.size(), PIPE_BUF));
  if (put > 0) pending.erase(0, static_cast<std::size_t>(put));
  if (put < 0 && errno != EAGAIN && errno != EINTR) throw sys_error("write to the terminal");
}

void Attached::read_output(Output* output) {
  char buffer[kChunk];
  ssize_t got = ::read(output->from.get(), buffer, sizeof buffer);
  if (got == 0) return output->from.reset();
  if (got < 0 && errno != EAGAIN && errno != EINTR) throw sys_error("read its output");
  if (got < 0) return;
  output->pending.assign(buffer, static_cast<std::size_t>(got));
  printed_ = true;
}

// One at a time: both streams may end in one terminal, and their order is the log's.
void Attached::read_log() {
  auto record = log_->next();
  more_ = record.has_value();
  if (!record) return;
  Output& output = record->stream == api::Stream::kStderr ? err_ : out_;
  output.pending = std::move(record->data);
  printed_ = true;
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
      out_.wants(reading_),
      err_.wants(reading_),
      {log_watch_.get(), POLLIN, 0},
      {ended_ ? -1 : parked_.get(), POLLIN, 0},
  };
  poll_until(fds, wait_.within(more_ && all_written() ? Nanos(0) : kLookAgain));
  if (fds[0].revents) read_typed();
  if (fds[1].revents) feed();
  if (fds[2].revents) move(&out_);
  if (fds[3].revents) move(&err_);
  if (fds[4].revents) forget_changes(&log_watch_);
  if (fds[5].revents) ended_ = true;
  if (log_ && reading_ && all_written()) read_log();
}

bool Attached::output_ended() const {
  return all_written() && (log_ ? log_->ended() : !out_.from && !err_.from);
}

void Attached::drain() {
  Wait in_all = log_ ? wait_ : wait_.within(kLastBytes);  // the shim ends a log
  Wait silence = wait_.within(kSilence);
  while (!output_ended() && !in_all.expired() && !silence.expired()) {
    TimePoint began = Clock::now();
    bool waits_for_caller = !all_written();
    printed_ = false;
    poll(false);
    if (printed_ || waits_for_caller) silence = wait_.within(kSilence);
    if (waits_for_caller && !log_) in_all.deadline += Clock::now() - began;
  }
}

// What was typed before the keys is still its, and what it printed and we have read the caller's.
void Attached::leave() {
  reading_ = false;
  Wait limit = wait_.within(kLastKeys);
  auto keys_left = [&] { return *in_ && !pending_.empty() && !ended_ && !limit.expired(); };
  while (!all_written() || keys_left()) poll(false);
}

std::optional<ExitStatus> Attached::run() {
  RawTerminal raw(options_.in, tty_ && typing_);
  while (!ended_ && !detached_) {
    follow_size();
    poll(typing_ && pending_.size() < kChunk);
    bool over = own_in_ && !typing_ && pending_.empty() && *in_;
    if (!over) continue;
    in_->reset();
    close_stdin(core_, ref_, wait_);
  }
  if (detached_) {
    leave();
    return std::nullopt;
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
