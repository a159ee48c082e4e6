// SPDX-License-Identifier: Apache-2.0
// Private to this room: one accepted connection of a server, its requests and its unwritten
// answers. An idle one holds no buffer: a frame's is made when its first byte is there and freed
// with it.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "ttrpc/server.h"

namespace ctrd::ttrpc {

class Connection;

// What the connections of one server share.
struct Hub {
  Hub(boost::asio::io_context& the_loop, Dispatch the_dispatch, Limits the_limits)
      : loop(the_loop), dispatch(std::move(the_dispatch)), limits(the_limits) {}

  boost::asio::io_context& loop;
  Dispatch dispatch;
  Limits limits;
  std::set<std::shared_ptr<Connection>> connections;
  std::size_t under_way = 0;  // handlers that run, and answers not yet written
  bool closing = false;
  std::function<void()> idle;

  // n things that were under way are done.
  void done(std::size_t n);
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(std::shared_ptr<Hub> hub, UniqueFd socket);
  void start();
  void close();

 private:
  struct Running {  // a request whose handler has not ended
    explicit Running(uint32_t id) : stream(id) {}
    uint32_t stream;
    boost::asio::cancellation_signal cancel;
    std::unique_ptr<boost::asio::steady_timer> deadline;
    bool answered = false;
  };
  using RunningPtr = std::shared_ptr<Running>;
  enum class Got { kAll, kSome, kClosed };
  using Step = boost::asio::awaitable<bool>;  // true: go on

  // Reading; receive and drain never block.
  static boost::asio::awaitable<void> read_frames(std::shared_ptr<Connection> self);
  Step read_frame();
  Step fill(std::string& frame, std::size_t want);
  Step drain(uint64_t left);
  Step readable(bool begun);
  Step yield_if_full();
  Got receive(std::string& frame, std::size_t want);
  Got discard(uint64_t& left);

  // Requests.
  void take(const Header& header, std::string_view data);
  void take_request(uint32_t stream, std::string_view data);
  void run(uint32_t stream, Request request);
  void set_deadline(const RunningPtr& running, const Request& request);
  void expire(Running& running, const std::string& what);
  void finished(Running& running, const Response& response);
  void reject(uint32_t stream, Error error);

  // Writing.
  void respond(uint32_t stream, const Response& response);
  void flush();
  void flush_when_writable();
  void arm(boost::asio::steady_timer& timer);

  std::shared_ptr<Hub> hub_;
  std::shared_ptr<Caller> caller_ = std::make_shared<Caller>();
  boost::asio::posix::stream_descriptor socket_;
  boost::asio::steady_timer read_limit_, write_limit_;
  std::map<uint32_t, RunningPtr> running_;
  std::string out_;  // answers not yet written, the first out_begin_ bytes are
  std::size_t out_begin_ = 0;
  std::size_t unwritten_ = 0;  // answers in out_
  uint32_t last_stream_ = 0;
  bool open_ = true, reading_limited_ = false, writing_ = false;
};

}  // namespace ctrd::ttrpc
