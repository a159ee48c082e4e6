// SPDX-License-Identifier: Apache-2.0
// The server's end of ttrpc: one Asio loop, one coroutine a connection and one a request, no
// threads. Limits: kMaxFrame, rising odd stream ids, 1,024 connections, 256 requests under way on
// each, 10 s for a frame once begun; the peer's effective uid and gid must be ours. Stimuli and
// answers: shim-protocol.md 1.5, ttrpc 1.2's column, but type 3 is InvalidArgument.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/time.h"
#include "base/unique_fd.h"
#include "ttrpc/frame.h"

namespace ctrd::ttrpc {

// One connection, the same for all its requests: for what lasts as long as it does.
class Caller {
 public:
  // Called in the loop when it closes; at once if it has.
  void at_close(std::function<void()> f);
  void close();

 private:
  std::vector<std::function<void()>> at_close_;
  bool closed_ = false;
};

// Answers one request: returns the payload or throws an Error (anything else becomes kInternal).
// Runs as a coroutine of the loop; it is cancelled (terminal: the operation it awaits ends with
// operation_aborted, and so does each later one) when its connection closes and at the request's
// deadline. Work that must come to its end either disables that with
// this_coro::reset_cancellation_state or runs in a coroutine of its own. Unknown service or method:
// throw kUnimplemented.
using Dispatch = std::function<boost::asio::awaitable<std::string>(Request request)>;

struct Limits {
  std::size_t connections = 1024;          // further ones are closed at once
  std::size_t requests = 256;              // further ones are kResourceExhausted
  Nanos frame = std::chrono::seconds(10);  // to receive a frame begun, and for an answer to get on
};

class Server {
 public:
  // listener: a listening unix socket. Serving begins at once. The loop outlives the server.
  Server(boost::asio::io_context& loop, UniqueFd listener, Dispatch dispatch, Limits limits = {});
  // Closes every connection and cancels what is under way. In the loop's thread.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Accepts nothing more (a request that still comes is kUnavailable) and answers what is under
  // way; `idle` is called once, from the loop, when every response has been written. A parked
  // request (Wait) counts as under way until its connection closes: the owner answers or cancels
  // those itself first.
  void close(std::function<void()> idle);
  std::size_t connections() const;
  // Requests accepted and not yet answered.
  std::size_t under_way() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace ctrd::ttrpc
