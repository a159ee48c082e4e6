// SPDX-License-Identifier: Apache-2.0
// The one place that waits for children. Everything is reaped at once into a table {pid -> how it
// ended}, and who asks late still learns. Exits of pids that nobody expects are kept while a
// runtime is making a process (its pid is known only after its pid file is read), else dropped.
// Source: design.md 7.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <memory>
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

  // While one lives, exits that nobody expects are kept: those after its beginning.
  class Keep {
   public:
    explicit Keep(Reaper& reaper);
    Keep(const Keep&) = delete;
    Keep& operator=(const Keep&) = delete;
    ~Keep();

   private:
    friend class Reaper;
    Reaper& reaper_;
    uint64_t since_;
  };

  // A child just started: its end will be kept until wait() has returned it. To be called before
  // the loop runs again.
  void expect(pid_t pid);
  // What a runtime says that it has made since `keep` began: expected from now on if it is a child
  // of ours, or was one that has been reaped since. False: a stranger, or another one's already.
  bool adopt(pid_t pid, const Keep& keep);
  // The end of an expected process; nullopt at the deadline (it stays expected). One waiter a pid.
  asio::awaitable<std::optional<Ended>> wait(pid_t pid, TimePoint deadline = kForever);
  // Expected, and reaped.
  bool has_ended(pid_t pid) const;
  // Nobody asks for it any more.
  void drop(pid_t pid) { expected_.erase(pid); }
  // A child of ours, running or not yet reaped.
  static bool is_child(pid_t pid);
  // Rows in the table: what it costs.
  std::size_t size() const { return expected_.size() + unknown_.size(); }

 private:
  struct Expected {
    std::optional<Ended> ended;
    Event changed;
  };
  struct Unknown {
    Ended ended;
    uint64_t at;
  };
  void forget();

  std::map<pid_t, std::shared_ptr<Expected>> expected_;
  std::map<pid_t, Unknown> unknown_;
  std::multiset<uint64_t> keeps_;
  uint64_t now_ = 0;  // counts exits and Keeps, so that one can be said to be before the other
};

}  // namespace ctrd::shim
