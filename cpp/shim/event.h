// SPDX-License-Identifier: Apache-2.0
// How coroutines of the one loop wait for each other: an Event that wakes all who wait, a Lock that
// one (or so many) hold at a time, and two ways to start a coroutine. Not for threads: there is
// only one.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace ctrd::shim {

namespace asio = boost::asio;

class Event {
 public:
  // Until the next notify, or the deadline. The caller looks at its condition again: it says
  // nothing about why it woke.
  asio::awaitable<void> wait(TimePoint deadline = kForever);
  void notify();

 private:
  std::vector<asio::steady_timer*> waiting_;
};

class Lock {
 public:
  class Guard {
   public:
    explicit Guard(Lock* lock) : lock_(lock) {}
    Guard(Guard&& other) noexcept : lock_(std::exchange(other.lock_, nullptr)) {}
    Guard& operator=(Guard&&) = delete;
    ~Guard();

   private:
    Lock* lock_;
  };
  explicit Lock(int places = 1) : free_(places) {}
  asio::awaitable<Guard> acquire();
  // None: none was free until the deadline.
  asio::awaitable<std::optional<Guard>> try_acquire(TimePoint deadline);

 private:
  int free_;
  Event freed_;
};

asio::awaitable<void> pause_for(Nanos duration);

// Starts work that nobody waits for; an exception is logged with `what`.
void start(asio::io_context& loop, asio::awaitable<void> work, std::string_view what);
// Runs work to its end even if the caller is cancelled (its connection closed); the result is for a
// caller who still waits.
asio::awaitable<std::string> apart(asio::io_context& loop, asio::awaitable<std::string> work);

}  // namespace ctrd::shim
