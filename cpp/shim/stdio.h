// SPDX-License-Identifier: Apache-2.0
// The three streams of one process. The container gets pipes of the shim's own or /dev/null, never
// a host's file (a checkpoint would fail); pumps copy to where the client wants it (api/bundle.h
// says what the paths mean). Source: design.md 7.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "api/bundle.h"
#include "shim/fifo.h"
#include "shim/pump.h"

namespace ctrd::shim {

struct StdioPaths {
  std::string in, out, err;
};

class Stdio {
 public:
  explicit Stdio(asio::io_context& loop) : loop_(loop) {}
  ~Stdio() { shut(); }

  // Opens everything and starts the pumps. On failure nothing is left open (shut() removes the
  // log).
  asio::awaitable<void> open(StdioPaths paths, const api::Options& options, Patience patience);
  // The process's ends, -1: /dev/null. close_child_ends once the process that has them is started.
  std::array<int, 3> child_ends() const;
  void close_child_ends();

  // No more from our side: the process sees the end once the client's writers have closed too.
  // Twice is fine.
  void close_stdin() { keeper_.reset(); }

  // The process has ended: waits until all output is passed on, at most for `bound`; then
  // everything is closed and the log gets its end record. True: output was cut or lost.
  asio::awaitable<bool> drain(Nanos bound);
  // Ends and closes everything at once.
  void shut();

 private:
  asio::awaitable<void> open_output(std::size_t number, std::string path, const Patience& patience);
  void open_input(const std::string& path);
  void open_log(const api::Options& options);
  void add_pump(UniqueFd source, std::unique_ptr<Sink> sink, bool is_output);
  bool output_is_flowing() const;

  asio::io_context& loop_;
  std::array<UniqueFd, 3> child_;
  UniqueFd keeper_;
  std::shared_ptr<api::LogWriter> log_;
  std::vector<std::shared_ptr<Pump>> outputs_;
  std::shared_ptr<Pump> input_;
  std::shared_ptr<Event> ended_ = std::make_shared<Event>();
};

}  // namespace ctrd::shim
