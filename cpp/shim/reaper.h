// SPDX-License-Identifier: Apache-2.0
// The one place that waits for children. Everything is reaped at once into a table {pid -> how it
// ended}, and who asks late still learns. Exits of pids that nobody expects are kept while a
// runtime is making a process (its pid is known only after its pid file is read), else dropped.
// Source: design.md 7.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <set>

#include "shim/event.h"

namespace ctrd::shim {

struct Ended {
  int status = 0;       // exit code, or 128 + signal
  int signal = 0;       // 0: it exited
  int64_t time_ns = 0;  // wall clock, when it was reaped
};

class Reaper {
 public:
  // Reaps all that has ended. Called at each SIGCHLD, by nobody else.
  void reap();

  // Its end will be kept until wait() has returned it. To be called before the loop runs again
  // after the pid became known.
  void expect(pid_t pid);
  // The end of an expected process; nullopt at the deadline (it stays expected). One waiter a pid.
  asio::awaitable<std::optional<Ended>> wait(pid_t pid, TimePoint deadline = kForever);
  bool has_ended(pid_t pid) const { return ended_.contains(pid); }
  // Nobody asks for it any more.
  void drop(pid_t pid);
  // A child of ours, running or not yet reaped.
  static bool is_child(pid_t pid);

  // While one lives, unknown exits are kept.
  class Keep {
   public:
    explicit Keep(Reaper& reaper) : reaper_(reaper) { ++reaper_.keeping_; }
    Keep(const Keep&) = delete;
    Keep& operator=(const Keep&) = delete;
    ~Keep() { reaper_.forget(); }

   private:
    Reaper& reaper_;
  };

 private:
  void forget();
  std::map<pid_t, Ended> ended_;
  std::set<pid_t> expected_;
  int keeping_ = 0;
  Event changed_;
};

}  // namespace ctrd::shim
