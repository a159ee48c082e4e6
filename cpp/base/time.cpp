// SPDX-License-Identifier: Apache-2.0
#include "base/time.h"

#include <time.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <string>

#include "base/error.h"

namespace ctrd {
namespace {

constexpr Nanos kSlice = std::chrono::milliseconds(50);

timespec to_timespec(Nanos duration) {
  auto ns = std::max<int64_t>(duration.count(), 0);
  return {static_cast<time_t>(ns / 1'000'000'000), static_cast<long>(ns % 1'000'000'000)};
}

// One ppoll. The count of ready ones, 0 when the time is over, -1 after a signal.
int poll_once(std::span<pollfd> fds, Nanos limit) {
  timespec timeout = to_timespec(limit);
  int ready = ::ppoll(fds.data(), fds.size(), &timeout, nullptr);
  if (ready < 0 && errno != EINTR)
    throw sys_error("poll " + std::to_string(fds.size()) + " descriptors");
  return ready;
}

Nanos remaining(TimePoint deadline) {
  if (deadline == kForever) return Nanos::max();
  return deadline - std::min(deadline, Clock::now());
}

std::string seconds(Nanos duration) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", static_cast<double>(duration.count()) / 1e9);
  return text;
}

}  // namespace

int64_t wall_ns() {
  timespec now;
  ::clock_gettime(CLOCK_REALTIME, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

TimePoint after(Nanos duration) {
  TimePoint now = Clock::now();
  return duration > kForever - now ? kForever : now + duration;
}

Wait Wait::within(Nanos limit) const {
  TimePoint sooner = after(limit);
  return deadline <= sooner ? *this : Wait{sooner, interrupted};
}

bool Wait::expired() const { return deadline != kForever && Clock::now() >= deadline; }

void Wait::check() const {
  if (interrupted) interrupted();
}

int poll_until(std::span<pollfd> fds, const Wait& wait) {
  for (;;) {
    wait.check();
    Nanos left = remaining(wait.deadline);
    int ready = poll_once(fds, std::min(left, wait.interrupted ? kSlice : Nanos::max()));
    if (ready > 0) return ready;
    if (ready == 0 && wait.expired()) return 0;
  }
}

void throw_timeout(std::string_view what) {
  throw Error(Code::kDeadlineExceeded, std::string(what) + ": deadline exceeded");
}

void throw_timeout(std::string_view what, const Wait& wait) {
  std::string limit = seconds(std::max(wait.deadline - wait.since, TimePoint::duration(0)));
  throw Error(Code::kDeadlineExceeded,
              std::string(what) + ": deadline exceeded after " + limit + " s")
      .with("timeout", limit);
}

void wait_ready(int fd, short events, const Wait& wait, std::string_view what) {
  pollfd entry{fd, events, 0};
  if (poll_until({&entry, 1}, wait) == 0) throw_timeout(what, wait);
}

}  // namespace ctrd
