// SPDX-License-Identifier: Apache-2.0
// Where a stream goes: a FIFO or pipe, a file, a terminal, the framed log, or nowhere. A write
// waits for a slow reader (so only its own pump waits) and throws away what nobody will read any
// more; it never fails.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <memory>
#include <string_view>

#include "api/frame_log.h"
#include "base/unique_fd.h"

namespace ctrd::shim {

namespace asio = boost::asio;

class Sink {
 public:
  virtual ~Sink() = default;
  virtual asio::awaitable<void> write(std::string_view data) = 0;
  // The source has ended, and nothing more will be written.
  virtual asio::awaitable<void> finish() { co_return; }
  virtual void close() = 0;
  // What a client gave as a descriptor or path of its own.
  virtual bool is_file() const { return false; }
  // It needs nobody who reads.
  virtual bool is_kept() const { return true; }
  // Bytes were lost though somebody wanted them (a full disk). Later ones may find room again.
  virtual bool lost() const { return false; }
  // The reader has gone: writing on is pointless.
  virtual bool gone() const { return false; }
};

// fd: non-blocking, the writing end of a pipe or FIFO. keeper: a reading end of our own, if the
// reader may go and another one come.
std::unique_ptr<Sink> pipe_sink(asio::io_context& loop, UniqueFd fd, UniqueFd keeper = {});
// The same for what need not be a pipe.
std::unique_ptr<Sink> file_sink(asio::io_context& loop, UniqueFd fd);
// master: non-blocking, of a terminal; the end of the source is its end-of-file character.
std::unique_ptr<Sink> terminal_sink(asio::io_context& loop, UniqueFd master);
std::unique_ptr<Sink> null_sink();
std::unique_ptr<Sink> log_sink(std::shared_ptr<api::LogWriter> log, api::Stream stream);

}  // namespace ctrd::shim
