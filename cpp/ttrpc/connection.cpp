// SPDX-License-Identifier: Apache-2.0
// Reading frames and writing answers. What a request does meanwhile: connection_requests.cpp
#include "ttrpc/connection.h"

#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>

namespace asio = boost::asio;

namespace ctrd::ttrpc {
namespace {

constexpr std::size_t kChunk = 64 << 10;  // what is read at once: a length is only a claim
constexpr std::size_t kMaxUnread =
    4 * kMaxFrame;  // a peer that lets more answers pile up is cut off

}  // namespace

void Hub::done(std::size_t n) {
  under_way -= n;
  if (closing && under_way == 0 && idle) asio::post(loop, std::exchange(idle, nullptr));
}

Connection::Connection(std::shared_ptr<Hub> hub, UniqueFd socket)
    : hub_(std::move(hub)),
      socket_(hub_->loop, socket.release()),
      read_limit_(hub_->loop),
      write_limit_(hub_->loop) {}

void Connection::start() {
  hub_->connections.insert(shared_from_this());
  asio::co_spawn(hub_->loop, read_frames(shared_from_this()), asio::detached);
}

void Connection::close() {
  if (!std::exchange(open_, false)) return;
  auto self = shared_from_this();
  boost::system::error_code ignored;
  socket_.close(ignored);
  read_limit_.cancel();
  write_limit_.cancel();
  out_ = {};
  auto running = running_;  // a handler that ends takes itself out of the map
  for (auto& [stream, request] : running) request->cancel.emit(asio::cancellation_type::terminal);
  caller_->close();
  hub_->connections.erase(self);
  hub_->done(std::exchange(unwritten_, 0));
}

asio::awaitable<void> Connection::read_frames(std::shared_ptr<Connection> self) {
  try {
    bool more = true;
    while (more && self->open_) more = co_await self->read_frame();
  } catch (const std::exception&) {
    // No memory for the frame, or the loop is going: this connection ends either way.
  }
  self->close();
}

Connection::Step Connection::read_frame() {
  // Each frame begins in the loop, so that a peer with many does not keep others from their turn.
  bool more = co_await readable(false);
  std::string frame;
  if (more) more = co_await fill(frame, kHeaderSize);
  if (!more) co_return false;
  Header header = decode_header(frame.data());
  if (header.length > kMaxFrame)
    more = co_await drain(header.length);
  else
    more = co_await fill(frame, kHeaderSize + header.length);
  read_limit_.cancel();
  reading_limited_ = false;
  if (more) more = co_await yield_if_full();
  if (more) take(header, std::string_view(frame).substr(kHeaderSize));
  co_return more&& open_;
}

// Handlers that only need the loop once to end get that before a request is refused.
Connection::Step Connection::yield_if_full() {
  if (running_.size() >= hub_->limits.requests)
    co_await asio::post(hub_->loop, asio::use_awaitable);
  co_return open_;
}

Connection::Step Connection::fill(std::string& frame, std::size_t want) {
  Got got = receive(frame, want);
  while (got == Got::kSome) {
    bool more = co_await readable(!frame.empty());
    got = more ? receive(frame, want) : Got::kClosed;
  }
  co_return got == Got::kAll;
}

Connection::Step Connection::drain(uint64_t left) {
  Got got = discard(left);
  while (got == Got::kSome) {
    bool more = co_await readable(true);
    got = more ? discard(left) : Got::kClosed;
  }
  co_return got == Got::kAll;
}

// Waits; the limit runs from the first wait in a frame that has begun.
Connection::Step Connection::readable(bool begun) {
  if (begun && !std::exchange(reading_limited_, true)) arm(read_limit_);
  boost::system::error_code error;
  co_await socket_.async_wait(asio::posix::stream_descriptor::wait_read,
                              asio::redirect_error(asio::use_awaitable, error));
  co_return !error && open_;
}

Connection::Got Connection::receive(std::string& frame, std::size_t want) {
  while (frame.size() < want) {
    std::size_t have = frame.size();
    frame.resize(have + std::min(want - have, kChunk));
    // Without room for control data the kernel closes descriptors that the peer sends along.
    ssize_t n =
        ::recv(socket_.native_handle(), frame.data() + have, frame.size() - have, MSG_DONTWAIT);
    int err = errno;
    frame.resize(have + static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
    if (n == 0) return Got::kClosed;
    if (n < 0 && err == EAGAIN) return Got::kSome;
    if (n < 0 && err != EINTR) return Got::kClosed;
  }
  return Got::kAll;
}

// At most a few chunks a turn.
Connection::Got Connection::discard(uint64_t& left) {
  char chunk[16 << 10];
  for (int turn = 0; left > 0 && turn < 16; ++turn) {
    ssize_t n = ::recv(socket_.native_handle(), chunk, std::min<uint64_t>(left, sizeof(chunk)),
                       MSG_DONTWAIT);
    if (n == 0) return Got::kClosed;
    if (n < 0 && errno == EAGAIN) return Got::kSome;
    if (n < 0 && errno != EINTR) return Got::kClosed;
    if (n > 0) left -= static_cast<uint64_t>(n);
  }
  return left == 0 ? Got::kAll : Got::kSome;
}

// Closes the connection unless the timer is cancelled or set anew before.
void Connection::arm(asio::steady_timer& timer) {
  timer.expires_after(hub_->limits.frame);
  timer.async_wait([self = shared_from_this(), &timer](boost::system::error_code error) {
    if (!error && timer.expiry() <= Clock::now()) self->close();
  });
}

void Connection::respond(uint32_t stream, const Response& response) {
  if (!open_) return hub_->done(1);
  if (out_.size() > kMaxUnread / 16) out_.reserve(2 * kMaxUnread);  // once, not by doubling
  out_ += encode_frame(FrameType::kResponse, stream, encode(response));
  ++unwritten_;
  if (out_.size() - out_begin_ > kMaxUnread) return close();
  flush();
}

void Connection::flush() {
  while (out_begin_ < out_.size()) {
    ssize_t n = ::send(socket_.native_handle(), out_.data() + out_begin_, out_.size() - out_begin_,
                       MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n >= 0)
      out_begin_ += static_cast<std::size_t>(n);
    else if (errno == EAGAIN)
      return flush_when_writable();
    else if (errno != EINTR)
      return close();
  }
  out_ = {};
  out_begin_ = 0;
  write_limit_.cancel();
  hub_->done(std::exchange(unwritten_, 0));
}

void Connection::flush_when_writable() {
  if (std::exchange(writing_, true)) return;
  arm(write_limit_);
  socket_.async_wait(asio::posix::stream_descriptor::wait_write,
                     [self = shared_from_this()](boost::system::error_code error) {
                       self->writing_ = false;
                       if (!error && self->open_) self->flush();
                     });
}

}  // namespace ctrd::ttrpc
