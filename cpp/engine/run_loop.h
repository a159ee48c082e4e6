// SPDX-License-Identifier: Apache-2.0
// The thread in run(): its calls to the shim and the streams of what runs, in one poll. For a
// container's first process and for one more in it alike.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core.h"
#include "engine/run_streams.h"
#include "engine/task.h"
#include "ttrpc/client.h"

namespace ctrd::engine {

class RunLoop {
 public:
  RunLoop(Core& core, const RunOptions& options, const Wait& wait)
      : core_(core), options_(options), wait_(wait) {}

  // Whose shim is asked, for this process.
  void set(Task task, std::string exec);
  void set_streams(Streams streams) { fds_ = std::move(streams); }
  Streams& streams() { return fds_; }
  int dir() const { return task_ ? task_->dir.get() : -1; }

  // Until the call is answered; the streams flow meanwhile, or what prints much would wait for us
  // for ever.
  void pump(ttrpc::Call& call);
  std::string call(std::string_view service, std::string_view method, std::string payload);
  // It runs: another shim than ours would let it run for ever, so its timeout is kept here.
  void keep_limit();
  // From now on the program reads what it is given.
  void start_input() { moved_.start_input(); }
  // It has ended: what it has printed is read to the last byte.
  void drain();
  void take(RunResult* result) { moved_.take(result); }

 private:
  void end_input();
  void end_late();
  void poll(std::vector<pollfd>& fds);

  Core& core_;
  const RunOptions& options_;
  const Wait& wait_;
  std::optional<Task> task_;
  std::string exec_;
  TimePoint limit_ = kForever;
  Streams fds_;
  RunStreams moved_{options_, &fds_};
};

// What both runs ask for alike.
Stdio stdio_of(const RunOptions& options);
// On the wire 0 is no limit; one that is over before it begins is the shortest.
int64_t time_limit(const std::optional<int64_t>& timeout_ns);
// The shim killed it at its timeout: kDeadlineExceeded with context "timed_out".
[[noreturn]] void throw_timed_out(const std::string& what,
                                  const std::optional<int64_t>& timeout_ns);

}  // namespace ctrd::engine
