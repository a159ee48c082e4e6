// SPDX-License-Identifier: Apache-2.0
// The three streams of one process, init or exec'ed. It gets pipes of the shim's own, a terminal or
// /dev/null, never a host's file (a checkpoint would fail); pumps copy to where the client wants it
// (api/bundle.h says what the paths mean). Source: design.md 7.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <vector>

#include "api/bundle.h"
#include "shim/console.h"
#include "shim/fifo.h"
#include "shim/log_program.h"
#include "shim/pump.h"

namespace ctrd::shim {

struct StdioPaths {
  std::string in, out, err;
  std::optional<LogProgram> program = {};  // gets both outputs, whatever their paths
};

class Stdio {
 public:
  explicit Stdio(asio::io_context& loop) : loop_(loop) {}
  Stdio(const Stdio&) = delete;
  ~Stdio() { shut(); }

  // What nobody need be waited for: stdin's FIFO, where from now on what a client writes is kept,
  // and the files ("file:"). terminal: there is one output.
  void open_first(const StdioPaths& paths, bool terminal);
  // Before open(): the program where both outputs go, if there is one; waits until it is ready.
  asio::awaitable<void> run_program(StdioPaths paths, LogPrograms& all, std::string id,
                                    Patience patience);
  // Then: waits for the readers of the others and starts the pumps. On failure nothing is left open
  // (shut() removes the log). terminal: the pumps wait for connect().
  asio::awaitable<void> open(StdioPaths paths, const api::Options& options, Patience patience,
                             bool terminal);
  // The process's ends, -1: /dev/null. close_child_ends once the process that has them is started.
  std::array<int, 3> child_ends() const;
  void close_child_ends();
  // The terminal's master, non-blocking.
  void connect(UniqueFd master);
  // Does nothing without a terminal.
  void resize(Size size);

  // No more from our side: the process sees the end once the client's writers have closed too.
  // Before it is started, and twice, is fine.
  void close_stdin() { keeper_.reset(); }
  // The process has ended: nobody reads its input, and a terminal's EIO is its end.
  void process_ended();

  // The process has ended: waits until what it has written is in its files, until the deadline at
  // most. Of one that others still write to, what is there now counts.
  asio::awaitable<void> flush_files(TimePoint deadline);
  // The process has ended: waits until that output is passed on, at most for `bound`, closes it,
  // and the log gets its end record. A log program's own end comes after that. Kept is what goes to
  // the log and to files. What waits for a reader may flow on after that, as long as there is one.
  // True: output was cut or lost.
  enum class Output { kKept, kAll };
  asio::awaitable<bool> drain(Nanos bound, Output which);
  // Ends and closes everything at once; a log program ends in its own time.
  void shut();

 private:
  asio::awaitable<void> open_output(std::size_t number, std::string path, const Patience& patience,
                                    bool terminal);
  asio::awaitable<std::unique_ptr<Sink>> open_sink(std::size_t number, std::string path,
                                                   const Patience& patience);
  void open_log(const api::Options& options);
  UniqueFd given(UniqueFd end) const;
  std::shared_ptr<Pump> add_pump(UniqueFd source, std::unique_ptr<Sink> sink, bool is_output);
  void start_pump(std::shared_ptr<Pump> pump);
  void open_input(const std::string& path);

  asio::io_context& loop_;
  bool wait_for_readers_ = false;
  uint32_t uid_ = 0, gid_ = 0;  // of the container's ends
  std::array<UniqueFd, 3> child_;
  UniqueFd input_fifo_;  // until its pump takes it
  UniqueFd keeper_;
  std::array<UniqueFd, 3> files_;  // outputs, until their pumps take them
  UniqueFd master_;
  std::unique_ptr<Sink> terminal_output_;  // until there is a terminal
  std::shared_ptr<api::LogWriter> log_;
  std::shared_ptr<Logger> logger_;
  std::vector<std::shared_ptr<Pump>> outputs_;
  std::shared_ptr<Pump> input_;
  std::shared_ptr<Event> ended_ = std::make_shared<Event>();  // a pump
  std::shared_ptr<Life> life_ = std::make_shared<Life>();
};

}  // namespace ctrd::shim
