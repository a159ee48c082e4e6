// SPDX-License-Identifier: Apache-2.0
#include "shim/forwarder.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "ttrpc/codec.h"

namespace ctrd::shim {
namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr Nanos kFirstPause = std::chrono::milliseconds(10);
constexpr Nanos kLastPauses = std::chrono::milliseconds(50);
constexpr std::string_view kScheme = "unix://";
constexpr std::string_view kService = "containerd.services.events.ttrpc.v1.Events";
constexpr std::string_view kNamespaceKey = "containerd-namespace-ttrpc";

// ForwardRequest{1: envelope}.
std::string forward_request(const std::string& envelope) {
  std::string out;
  protozero::pbf_writer(out).add_message(1, envelope);
  return out;
}

void tell_refusal(const std::string& answer) {
  try {
    ttrpc::Response response = ttrpc::decode_response(answer);
    if (response.error) throw std::move(*response.error);
  } catch (const Error& error) {
    log(Level::kError, "an event is refused: " + error.message());
  }
}

// By a descriptor of its directory: a path may be longer than an address. Returns an errno, or 0.
int connect_to(int socket, const std::string& path) {
  std::size_t slash = path.rfind('/');
  UniqueFd dir = open_dir(slash == 0 ? "/" : path.substr(0, slash));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::string name = fd_path(dir.get(), path.substr(slash + 1));
  if (name.size() >= sizeof(address.sun_path)) return ENAMETOOLONG;
  std::memcpy(address.sun_path, name.data(), name.size());
  auto* at = reinterpret_cast<sockaddr*>(&address);
  return ::connect(socket, at, sizeof(address)) == 0 ? 0 : errno;
}

}  // namespace

Forwarder::Forwarder(asio::io_context& loop, std::string address, ForwardLimits limits)
    : loop_(loop), address_(std::move(address)), limits_(limits), clock_(loop) {
  if (address_.starts_with(kScheme)) address_.erase(0, kScheme.size());
  if (!address_.starts_with('/')) throw invalid("TTRPC_ADDRESS", address_, "not an absolute path");
}

void Forwarder::add(const api::Event& event) {
  Waiting waiting{.request = {},
                  .is_end = event.topic.ends_with("/exit") || event.topic.ends_with("/delete")};
  waiting.request.service = kService;
  waiting.request.method = "Forward";
  waiting.request.payload = forward_request(api::encode(event));
  waiting.request.timeout_ns = limits_.answer.count();
  waiting.request.metadata.emplace_back(kNamespaceKey, event.ns);
  waiting_.push_back(std::move(waiting));
  make_room();
  if (std::exchange(running_, true)) return;
  start(loop_, run(), "forwarding events");
}

// The first one may be under way.
void Forwarder::make_room() {
  if (waiting_.size() <= limits_.waiting) return;
  auto row = std::find_if(waiting_.begin() + 1, waiting_.end(),
                          [](const Waiting& one) { return !one.is_end; });
  if (row == waiting_.end()) row = waiting_.begin() + 1;
  log(Level::kWarning, "an event is lost: containerd takes none");
  waiting_.erase(row);
}

asio::awaitable<void> Forwarder::run() {
  Nanos pause = kFirstPause;
  while (!waiting_.empty()) {
    ttrpc::Request request = waiting_.front().request;
    bool sent = co_await send(std::move(request));
    if (sent) {
      waiting_.pop_front();
      pause = kFirstPause;
      continue;
    }
    close();
    if (pause == kFirstPause) log(Level::kInfo, "events wait for containerd at " + address_);
    co_await hurry_.wait(after(pause));
    pause = std::min(2 * pause, finishing_ ? kLastPauses : limits_.longest_pause);
  }
  running_ = false;
  changed_.notify();
}

// True: containerd has it, or will never take it.
asio::awaitable<bool> Forwarder::send(ttrpc::Request request) {
  if (!socket_ && !connect()) co_return false;
  limit_time();
  uint32_t stream = std::exchange(stream_, stream_ + 2);
  std::string frame =
      ttrpc::encode_frame(ttrpc::FrameType::kRequest, stream, ttrpc::encode(request));
  bool written = co_await write(std::move(frame));
  std::optional<std::string> answer;
  if (written) answer = co_await read_answer(stream);
  ++tries_;
  clock_.cancel();
  if (!answer) co_return false;
  tell_refusal(*answer);
  co_return true;
}

bool Forwarder::connect() {
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return false;
  int why = ENOENT;
  try {
    why = connect_to(socket.get(), address_);
  } catch (const Error&) {  // its directory is not there
  }
  saw(why != 0 && why != EAGAIN);  // that is a queue of clients which is full
  if (why != 0) return false;
  socket_.emplace(loop_, socket.release());
  stream_ = 1;
  return true;
}

void Forwarder::saw(bool nobody) {
  if (std::exchange(nobody_, nobody) != nobody) changed_.notify();
}

void Forwarder::close() { socket_.reset(); }

// What waits for the socket then ends.
void Forwarder::limit_time() {
  clock_.expires_after(limits_.answer);
  clock_.async_wait([this, now = tries_](const boost::system::error_code& error) {
    if (!error && now == tries_ && socket_) socket_->cancel();
  });
}

asio::awaitable<bool> Forwarder::write(std::string data) {
  std::string_view left = data;
  while (!left.empty()) {
    ssize_t n = ::send(socket_->native_handle(), left.data(), left.size(), MSG_NOSIGNAL);
    if (n >= 0) {
      left.remove_prefix(static_cast<std::size_t>(n));
    } else if (errno == EAGAIN) {
      auto [error] = co_await socket_->async_wait(socket_->wait_write, kTuple);
      if (error) co_return false;
    } else if (errno != EINTR) {
      co_return false;
    }
  }
  co_return true;
}

asio::awaitable<std::optional<std::string>> Forwarder::read(std::size_t size) {
  std::string data(size, '\0');
  for (std::size_t have = 0; have < size;) {
    ssize_t n = ::recv(socket_->native_handle(), data.data() + have, size - have, 0);
    if (n > 0) {
      have += static_cast<std::size_t>(n);
    } else if (n < 0 && errno == EAGAIN) {
      auto [error] = co_await socket_->async_wait(socket_->wait_read, kTuple);
      if (error) co_return std::nullopt;
    } else if (n == 0 || errno != EINTR) {
      co_return std::nullopt;
    }
  }
  co_return data;
}

asio::awaitable<std::optional<std::string>> Forwarder::read_answer(uint32_t stream) {
  for (;;) {
    std::optional<std::string> head = co_await read(ttrpc::kHeaderSize);
    if (!head) co_return std::nullopt;
    ttrpc::Header header = ttrpc::decode_header(head->data());
    if (header.length > ttrpc::kMaxFrame) co_return std::nullopt;
    std::optional<std::string> body = co_await read(header.length);
    if (!body) co_return std::nullopt;
    if (header.stream == stream) co_return body;
  }
}

asio::awaitable<void> Forwarder::finish(LastChance limits) {
  finishing_ = true;
  hurry_.notify();
  TimePoint begun = Clock::now();
  auto deadline = [&] { return begun + (nobody_ ? limits.absent : limits.slow); };
  while (running_ && Clock::now() < deadline()) co_await changed_.wait(deadline());
  if (!waiting_.empty()) log(Level::kError, std::to_string(waiting_.size()) + " events are lost");
}

}  // namespace ctrd::shim
