// SPDX-License-Identifier: Apache-2.0
// Copies from one descriptor into a sink until the source ends. Its buffer lives only while there
// is something to copy, and after a few chunks the rest of the loop gets its turn.
#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>

#include "shim/event.h"
#include "shim/sink.h"

namespace ctrd::shim {

// What the pumps of one process know of it.
struct Life {
  bool over = false;  // it has ended: nothing will come after what is there
  Event changed;
};

class Pump {
 public:
  // source: non-blocking. stop_when_gone: end when the sink's reader has gone (else read on and
  // throw away).
  Pump(asio::io_context& loop, UniqueFd source, std::unique_ptr<Sink> sink, bool stop_when_gone);
  // source: a terminal's master. It says EIO while nobody has the terminal open, and that is its
  // end only once the process has ended too.
  void is_terminal_of(std::shared_ptr<Life> life) { life_ = std::move(life); }

  // To the end of the source; then both sides are closed and `ended` notified. The Pump must be
  // held until then.
  static asio::awaitable<void> run(std::shared_ptr<Pump> self, Event& ended);
  bool running() const { return running_; }
  // To a file, and what has been written into its source is not there yet.
  bool is_behind() const;
  bool lost() const { return sink_->lost(); }
  bool is_kept() const { return sink_->is_kept(); }
  void close();  // ends it at once

 private:
  asio::awaitable<bool> copy_some();
  asio::awaitable<bool> nobody_has_it();

  mutable asio::posix::stream_descriptor source_;
  std::unique_ptr<Sink> sink_;
  std::shared_ptr<Life> life_;
  bool stop_when_gone_;
  bool running_ = true, copying_ = false;
};

}  // namespace ctrd::shim
