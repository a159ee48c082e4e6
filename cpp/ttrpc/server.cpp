// SPDX-License-Identifier: Apache-2.0
// Accepting connections. What happens on one: connection.cpp
#include "ttrpc/server.h"

#include <sys/socket.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>

#include "ttrpc/connection.h"

namespace asio = boost::asio;

namespace ctrd::ttrpc {
namespace {

constexpr auto kOutOfDescriptors = std::chrono::milliseconds(50);  // before accept is tried again
constexpr int kAcceptsPerTurn = 16;

bool is_our_user(int socket) {
  ucred peer{};
  socklen_t size = sizeof(peer);
  return ::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
         peer.uid == ::geteuid() && peer.gid == ::getegid();
}

}  // namespace

void Caller::at_close(std::function<void()> f) {
  if (closed_) return f();
  at_close_.push_back(std::move(f));
}

void Caller::close() {
  closed_ = true;
  for (const auto& f : std::exchange(at_close_, {})) f();
}

struct Server::State {
  State(asio::io_context& loop, UniqueFd socket, Dispatch dispatch, Limits limits)
      : hub(std::make_shared<Hub>(loop, std::move(dispatch), limits)),
        listener(loop, socket.release()) {
    listener.non_blocking(true);
  }
  static asio::awaitable<void> accept_all(std::shared_ptr<State> self);
  bool accept_ready();
  void add(UniqueFd socket);

  std::shared_ptr<Hub> hub;
  asio::posix::stream_descriptor listener;
};

void Server::State::add(UniqueFd socket) {
  if (!is_our_user(socket.get()) || hub->connections.size() >= hub->limits.connections) return;
  std::make_shared<Connection>(hub, std::move(socket))->start();
}

// Takes a few of the backlog, so that peers that have gone already make room before the next are
// refused for want of it. False: out of descriptors or memory.
bool Server::State::accept_ready() {
  for (int turn = 0; turn < kAcceptsPerTurn; ++turn) {
    UniqueFd socket(
        ::accept4(listener.native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (socket)
      add(std::move(socket));
    else if (errno == EAGAIN)
      return true;
    else if (errno != EINTR && errno != ECONNABORTED)
      return false;
  }
  return true;
}

asio::awaitable<void> Server::State::accept_all(std::shared_ptr<State> self) {
  asio::steady_timer pause(self->hub->loop);
  boost::system::error_code error;
  while (!self->hub->closing) {
    co_await self->listener.async_wait(asio::posix::stream_descriptor::wait_read,
                                       asio::redirect_error(asio::use_awaitable, error));
    if (error || self->hub->closing) co_return;
    if (self->accept_ready()) continue;
    pause.expires_after(kOutOfDescriptors);
    co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, error));
  }
}

Server::Server(asio::io_context& loop, UniqueFd listener, Dispatch dispatch, Limits limits)
    : state_(std::make_shared<State>(loop, std::move(listener), std::move(dispatch), limits)) {
  asio::co_spawn(loop, State::accept_all(state_), asio::detached);
}

Server::~Server() {
  close(nullptr);
  auto connections = state_->hub->connections;  // each takes itself out of the set
  for (const auto& connection : connections) connection->close();
}

void Server::close(std::function<void()> idle) {
  Hub& hub = *state_->hub;
  hub.closing = true;
  hub.idle = std::move(idle);
  boost::system::error_code ignored;
  state_->listener.close(ignored);
  hub.done(0);
}

std::size_t Server::connections() const { return state_->hub->connections.size(); }

std::size_t Server::under_way() const { return state_->hub->under_way; }

}  // namespace ctrd::ttrpc
