// SPDX-License-Identifier: Apache-2.0
// The streams of a run, moved by the thread that is in run(): input to the task, output to where it
// goes. Never blocks; a sink that is not ready holds up its own stream only.
#pragma once

#include <poll.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "engine/bundle.h"
#include "engine/values.h"

namespace ctrd::engine {

// Blocks SIGPIPE in this thread and takes back one that came meanwhile: the process's own
// disposition is not touched.
class NoSigpipe {
 public:
  NoSigpipe();
  NoSigpipe(const NoSigpipe&) = delete;
  ~NoSigpipe();

 private:
  bool blocked_ = false;
};

class RunStreams {
 public:
  RunStreams(const RunOptions& options, Streams* fds) : options_(options), fds_(*fds) {}

  // What is to be polled now, appended to fds. Input only from start_input() on.
  void add(std::vector<pollfd>* fds);
  void start_input() { feeding_ = true; }
  // True once: all input is written, and the task's stdin may be closed.
  bool take_end_of_input();
  // Moves what the last poll said is ready. Throws what options.write throws.
  void step(const std::vector<pollfd>& fds);
  // Both output streams have come to their end, and all of it is where it goes.
  bool ended() const;
  bool pending() const { return !out_.pending.empty() || !err_.pending.empty(); }
  void take(RunResult* result);

 private:
  struct Output {
    std::string kept, pending;  // captured; for a descriptor that is not ready
    bool broken = false;        // its descriptor takes no more: the rest is thrown away
  };
  void read(int stream);
  void keep(Output& output, std::string_view data);
  void flush(int stream);
  void feed();
  Output& output(int stream) { return stream == 1 ? out_ : err_; }
  const Output& output(int stream) const { return stream == 1 ? out_ : err_; }
  UniqueFd& source(int stream) { return stream == 1 ? fds_.out : fds_.err; }
  int target(int stream) const { return stream == 1 ? options_.out_fd : options_.err_fd; }
  RunOptions::Sink sink(int stream) const { return stream == 1 ? options_.out : options_.err; }

  const RunOptions& options_;
  Streams& fds_;
  Output out_, err_;
  std::size_t fed_ = 0;
  bool feeding_ = false, input_ended_ = false, truncated_ = false;
};

}  // namespace ctrd::engine
