// SPDX-License-Identifier: Apache-2.0
#include "ttrpc/served.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstring>
#include <filesystem>
#include <future>
#include <stdexcept>

#include "base/files.h"
#include "base/time.h"
#include "ttrpc/client.h"

namespace asio = boost::asio;

namespace ctrd::ttrpc {
namespace {

Error full_error() {
  return Error(Code::kNotFound, "container x: not found", Kind::kTask, ENOENT)
      .with("field", "id")
      .with("value", "x");
}

}  // namespace

std::string Served::temp_dir() {
  std::string name = "/tmp/ctrd-ttrpc-XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) throw sys_error("mkdtemp");
  ::chmod(name.c_str(), 0755);
  return name;
}

UniqueFd Served::listen_on(const std::string& path) {
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
  if (::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) < 0)
    throw sys_error("bind");
  if (::listen(socket.get(), 4096) < 0) throw sys_error("listen");
  ::chmod(path.c_str(), 0777);
  return socket;
}

Served::Served(Limits limits)
    : path_(temp_dir()), dir_(open_dir(path_)), work_(asio::make_work_guard(loop_)) {
  server_ = std::make_unique<Server>(
      loop_, listen_on(path_ + "/sock"), [this](Request r) { return dispatch(std::move(r)); },
      limits);
  thread_ = std::thread([this] { loop_.run(); });
}

Served::~Served() {
  release();
  asio::post(loop_, [this] { server_.reset(); });
  work_.reset();
  thread_.join();
  std::filesystem::remove_all(path_);
}

UniqueFd Served::connect() const {
  return connect_at(dir_.get(), "sock",
                    {.deadline = after(std::chrono::seconds(100)), .interrupted = {}});
}

void Served::close_server(std::function<void()> idle) {
  asio::post(loop_, [this, idle] { server_->close(idle); });
}

void Served::release() { released_ = true; }

std::size_t Served::under_way() {
  std::promise<std::size_t> answer;
  asio::post(loop_, [&] { answer.set_value(server_->under_way()); });
  return answer.get_future().get();
}

asio::awaitable<std::string> Served::park() {
  asio::steady_timer timer(co_await asio::this_coro::executor, TimePoint::max());
  ++parked;
  try {
    co_await timer.async_wait(asio::use_awaitable);
  } catch (const boost::system::system_error&) {
    ++cancelled;
    throw;
  }
  co_return "never";
}

asio::awaitable<std::string> Served::stubborn() {
  asio::steady_timer timer(co_await asio::this_coro::executor);
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  ++parked;
  while (!released_) {
    timer.expires_after(std::chrono::milliseconds(2));
    co_await timer.async_wait(asio::use_awaitable);
  }
  co_return "late";
}

asio::awaitable<std::string> Served::dispatch(Request request) {
  if (request.service != "test") throw Error(Code::kUnimplemented, "service " + request.service);
  if (request.method == "Echo") co_return request.payload;
  if (request.method == "Big") co_return std::string(std::stoul(request.payload), 'b');
  if (request.method == "Note") {
    request.caller->at_close([this, n = std::stoi(request.payload)] { gone = gone * 10 + n; });
    co_return std::string();
  }
  if (request.method == "Fail") throw full_error();
  if (request.method == "Throw") throw std::runtime_error("something else");
  if (request.method == "Park") {
    auto work = park();
    co_return co_await std::move(work);
  }
  if (request.method == "Stubborn") {
    auto work = stubborn();
    co_return co_await std::move(work);
  }
  throw Error(Code::kUnimplemented, "method " + request.method);
}

void Peer::send(std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t n = ::send(fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EAGAIN) {
      wait_ready(fd(), POLLOUT, {.deadline = after(std::chrono::seconds(100)), .interrupted = {}},
                 "sending");
      continue;
    }
    if (n < 0) return;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

void Peer::send_frame(Header header, std::string_view data) {
  auto bytes = encode_header(header);
  send(std::string(bytes.data(), bytes.size()).append(data));
}

void Peer::send_request(uint32_t stream, const Request& request) {
  send(encode_frame(FrameType::kRequest, stream, encode(request)));
}

bool Peer::read_exactly(char* to, std::size_t size) {
  while (size > 0) {
    wait_ready(fd(), POLLIN, {.deadline = after(std::chrono::seconds(100)), .interrupted = {}},
               "reading");
    ssize_t n = ::recv(fd(), to, size, 0);
    if (n < 0 && errno == EAGAIN) continue;
    if (n <= 0) return false;
    to += n;
    size -= static_cast<std::size_t>(n);
  }
  return true;
}

Peer::Answer Peer::read() {
  char bytes[kHeaderSize];
  if (!read_exactly(bytes, sizeof(bytes)))
    throw std::runtime_error("the server closed the connection");
  Header header = decode_header(bytes);
  std::string data(header.length, '\0');
  if (!read_exactly(data.data(), data.size()))
    throw std::runtime_error("the server closed within a frame");
  return {header, decode_response(data)};
}

bool Peer::at_end() {
  char byte;
  return !read_exactly(&byte, 1);
}

Request request(std::string method, std::string payload, int64_t timeout_ns) {
  return {.service = "test",
          .method = std::move(method),
          .payload = std::move(payload),
          .timeout_ns = timeout_ns,
          .metadata = {}};
}

bool becomes_true(const std::function<bool()>& condition) {
  TimePoint end = after(std::chrono::seconds(100));
  while (!condition()) {
    if (Clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

}  // namespace ctrd::ttrpc
