// SPDX-License-Identifier: Apache-2.0
// A program that takes what a process writes ("binary://" of containerd's clients): it reads the
// two outputs on 3 and 4, and says on 5 that it is ready. It is no part of the task: the outputs
// reach it through our pumps, so that they flow on into nothing when it ends early, and the task's
// end does not take it along. When its outputs have ended it gets a time to end by itself, then
// SIGTERM, then SIGKILL. Source: shim-protocol.md 6.6.
#pragma once

#include <sys/types.h>

#include <array>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/process.h"
#include "base/unique_fd.h"
#include "shim/bundle.h"
#include "shim/event.h"
#include "shim/fifo.h"
#include "shim/reaper.h"

namespace ctrd::shim {

struct LogProgram {
  std::vector<std::string> argv;  // argv[0] is an absolute path
  bool must_say = false;          // closing 5 without a word is a failure
};

// Of one task.
struct LogPrograms {
  asio::io_context& loop;
  Reaper& reaper;
  const Bundle& bundle;
  std::string ns;
  Nanos patience = std::chrono::seconds(2);  // for each step of an end
  std::set<pid_t> groups = {};               // process groups of those that run
};

class Logger {
 public:
  // Until it is ready. id: of the container or of the exec.
  //   Throws: invalid naming stdout if it cannot be executed, or must say that it is ready and does
  //   not; kDeadlineExceeded, kAborted by patience
  static asio::awaitable<std::shared_ptr<Logger>> run(LogPrograms& all, LogProgram program,
                                                      std::string id, Patience patience);
  // Where output 1 or 2 is to be written, non-blocking; each once. Those not taken end at `end`.
  UniqueFd take_output(std::size_t number) { return std::move(outputs_.at(number - 1)); }
  void close_outputs();
  // Its outputs have ended: until it has.
  static asio::awaitable<void> end(std::shared_ptr<Logger> self);

  Logger(LogPrograms& all, pid_t pid) : all_(all), pid_(pid) {}
  Logger(const Logger&) = delete;

 private:
  static asio::awaitable<void> watch(std::shared_ptr<Logger> self);
  asio::awaitable<void> be_ready(UniqueFd pipe, std::string name, bool must_say, Patience patience);
  void signal(int number);
  void record();
  std::string file() const;

  LogPrograms& all_;
  const pid_t pid_;
  bool ended_ = false;
  std::array<UniqueFd, 2> outputs_;
  Event changed_;
};

// What a killed shim has left running, by the bundle's records: like `end`, but within `limit`.
void end_log_programs(int bundle, Nanos limit);

}  // namespace ctrd::shim
