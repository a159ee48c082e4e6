// SPDX-License-Identifier: Apache-2.0
// A real server on a real unix socket, its loop in a thread, and a peer that speaks raw bytes.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "base/unique_fd.h"
#include "ttrpc/frame.h"
#include "ttrpc/server.h"

namespace ctrd::ttrpc {

// Methods of service "test": Echo, Fail (an Error with everything), Throw, Park (for ever), Big
// (payload: how many bytes to answer), Stubborn (takes no cancellation, until release()), Note (the
// payload, when its caller has gone).
class Served {
 public:
  explicit Served(Limits limits = {});
  ~Served();

  static std::string temp_dir();
  static UniqueFd listen_on(const std::string& path);

  int dir() const { return dir_.get(); }
  const std::string& path() const { return path_; }
  UniqueFd connect() const;
  Server& server() { return *server_; }
  void close_server(std::function<void()> idle);
  void release();
  std::size_t under_way();
  std::atomic<int> parked = 0, cancelled = 0;
  std::atomic<int> gone = 0;  // Note's payloads, as digits

 private:
  boost::asio::awaitable<std::string> dispatch(Request request);
  boost::asio::awaitable<std::string> park();
  boost::asio::awaitable<std::string> stubborn();

  std::string path_;
  UniqueFd dir_;
  boost::asio::io_context loop_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::atomic<bool> released_ = false;
  std::unique_ptr<Server> server_;
  std::thread thread_;
};

// One end of a connection, blocking, with a generous limit so that a broken server fails a test and
// never hangs it.
class Peer {
 public:
  explicit Peer(const Served& served) : socket_(served.connect()) {}
  int fd() const { return socket_.get(); }
  void send(std::string_view bytes);  // ignores a peer that closed
  void send_frame(Header header, std::string_view data);
  void send_request(uint32_t stream, const Request& request);
  struct Answer {
    Header header;
    Response response;
  };
  Answer read();  // throws at EOF
  bool at_end();  // true: the server closed
  void close() { socket_.reset(); }

 private:
  bool read_exactly(char* to, std::size_t size);
  UniqueFd socket_;
};

Request request(std::string method, std::string payload = {}, int64_t timeout_ns = 0);

// Polls a condition that another thread makes true, for at most 30 s.
bool becomes_true(const std::function<bool()>& condition);

}  // namespace ctrd::ttrpc
