// SPDX-License-Identifier: Apache-2.0
#include "engine/run_streams.h"

#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/error.h"

namespace ctrd::engine {
namespace {

constexpr std::size_t kChunk = 64 << 10;

sigset_t sigpipe() {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGPIPE);
  return set;
}

}  // namespace

NoSigpipe::NoSigpipe() {
  sigset_t set = sigpipe();
  sigset_t before;
  if (::pthread_sigmask(SIG_BLOCK, &set, &before) != 0) return;
  blocked_ = ::sigismember(&before, SIGPIPE) == 0;
}

NoSigpipe::~NoSigpipe() {
  if (!blocked_) return;
  sigset_t set = sigpipe();
  timespec now{0, 0};
  while (::sigtimedwait(&set, nullptr, &now) < 0 && errno == EINTR) {
  }
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

bool RunStreams::take_end_of_input() {
  if (input_ended_ || !feeding_ || !fds_.in || fed_ < options_.input.size()) return false;
  fds_.in.reset();
  return input_ended_ = true;
}

void RunStreams::add(std::vector<pollfd>* fds) {
  if (feeding_ && fds_.in) fds->push_back({fds_.in.get(), POLLOUT, 0});
  for (int stream : {1, 2}) {
    if (!output(stream).pending.empty())
      fds->push_back({target(stream), POLLOUT, 0});
    else if (source(stream))
      fds->push_back({source(stream).get(), POLLIN, 0});
  }
}

void RunStreams::step(const std::vector<pollfd>& fds) {
  auto ready = [&](int fd, short events) {
    return std::any_of(fds.begin(), fds.end(), [&](const pollfd& entry) {
      return entry.fd == fd && (entry.events & events) && entry.revents != 0;
    });
  };
  if (fds_.in && ready(fds_.in.get(), POLLOUT)) feed();
  for (int stream : {1, 2}) {
    if (!output(stream).pending.empty()) {
      if (ready(target(stream), POLLOUT)) flush(stream);
    } else if (source(stream) && ready(source(stream).get(), POLLIN)) {
      read(stream);
    }
  }
}

bool RunStreams::ended() const {
  return !fds_.out && !fds_.err && out_.pending.empty() && err_.pending.empty();
}

void RunStreams::take(RunResult* result) {
  result->out = std::move(out_.kept);
  result->err = std::move(err_.kept);
  result->truncated = truncated_;
}

void RunStreams::read(int stream) {
  char buffer[kChunk];
  ssize_t got = ::read(source(stream).get(), buffer, sizeof buffer);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got < 0) throw sys_error(stream == 1 ? "read stdout" : "read stderr");
  if (got == 0) return source(stream).reset();
  std::string_view data(buffer, static_cast<std::size_t>(got));
  switch (sink(stream)) {
    case RunOptions::Sink::kCapture:
      return keep(output(stream), data);
    case RunOptions::Sink::kCall:
      return options_.write(stream, data);
    case RunOptions::Sink::kFd:
      if (!output(stream).broken) output(stream).pending.assign(data);
      return;
    case RunOptions::Sink::kDevnull:
    case RunOptions::Sink::kStdout:
      return;
  }
}

void RunStreams::keep(Output& output, std::string_view data) {
  if (options_.max_output) {
    auto limit = static_cast<std::size_t>(std::max<int64_t>(*options_.max_output, 0));
    std::size_t room = limit - std::min(limit, output.kept.size());
    truncated_ = truncated_ || data.size() > room;
    data = data.substr(0, room);
  }
  output.kept.append(data);
}

// A ready pipe takes PIPE_BUF bytes without blocking, even if the caller's descriptor is a blocking
// one.
void RunStreams::flush(int stream) {
  std::string& pending = output(stream).pending;
  ssize_t put =
      ::write(target(stream), pending.data(), std::min<std::size_t>(pending.size(), PIPE_BUF));
  if (put >= 0) {
    pending.erase(0, static_cast<std::size_t>(put));
  } else if (errno == EPIPE) {  // whoever read it has gone: as with subprocess, no matter of ours
    output(stream).broken = true;
    pending.clear();
  } else if (errno != EAGAIN && errno != EINTR) {
    throw sys_error(stream == 1 ? "write to the file for stdout" : "write to the file for stderr");
  }
}

void RunStreams::feed() {
  std::size_t left = options_.input.size() - fed_;
  ssize_t put = ::write(fds_.in.get(), options_.input.data() + fed_, std::min(left, kChunk));
  if (put >= 0)
    fed_ += static_cast<std::size_t>(put);
  else if (errno == EPIPE)
    fds_.in.reset();  // the program has closed its stdin, or has ended
  else if (errno != EAGAIN && errno != EINTR)
    throw sys_error("write stdin");
}

}  // namespace ctrd::engine
