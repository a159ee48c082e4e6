// SPDX-License-Identifier: Apache-2.0
// Points in time, and Wait: what everything that blocks takes. A Wait is a deadline and a question
// ("interrupted?") that is asked after EINTR and at least every 50 ms, so that Ctrl-C ends any
// blocking call.
#pragma once

#include <poll.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>

namespace ctrd {

using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;
using Nanos = std::chrono::nanoseconds;

constexpr TimePoint kForever = TimePoint::max();

int64_t wall_ns();                // CLOCK_REALTIME since 1970, in ns
TimePoint after(Nanos duration);  // now + duration, saturating at kForever

struct Wait {
  TimePoint deadline = kForever;
  // Throws what should end the wait (the bindings' one runs Python's signal handlers); may be
  // empty. Always called in the thread that waits, never while a lock of the store is held.
  std::function<void()> interrupted;
  // Since when it waits: only to say how long it was, when it is over.
  TimePoint since = Clock::now();

  // The same interruption, the earlier of both deadlines.
  Wait within(Nanos limit) const;
  // The same interruption; only looks, and waits for nothing.
  Wait at_once() const { return {TimePoint::min(), interrupted}; }
  bool expired() const;
  void check() const;  // calls interrupted; does not look at the deadline
};

// poll(2) until something is ready. Returns the count of ready descriptors, 0 at the deadline;
// throws what `interrupted` throws, or sys_error. Asks `interrupted` once before blocking.
int poll_until(std::span<pollfd> fds, const Wait& wait);

// Throws kDeadlineExceeded: "<what>: deadline exceeded after <n> s" with context "timeout".
// Without a Wait the time is left out.
[[noreturn]] void throw_timeout(std::string_view what);
[[noreturn]] void throw_timeout(std::string_view what, const Wait& wait);

// Polls fd for events until ready; throws kDeadlineExceeded at the deadline.
void wait_ready(int fd, short events, const Wait& wait, std::string_view what);

}  // namespace ctrd
