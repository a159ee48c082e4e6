// SPDX-License-Identifier: Apache-2.0
#include "ttrpc/client.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/files.h"

namespace ctrd::ttrpc {
namespace {

constexpr std::size_t kChunk = 64 << 10;  // what is read at once: a length is only a claim

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path))
    throw invalid("socket", path, "the name is too long");
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

// connect(2) on a unix socket waits while the listener's backlog is full, and poll cannot wait for
// that: so it blocks, for steps of this long.
void set_step(int socket) {
  timeval step{.tv_sec = 0, .tv_usec = 50'000};
  if (setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &step, sizeof(step)) < 0)
    throw sys_error("setting SO_SNDTIMEO");
}

void set_non_blocking(int socket) {
  if (fcntl(socket, F_SETFL, O_NONBLOCK) < 0) throw sys_error("making a socket non-blocking");
}

Error connect_error(int err, const std::string& name) {
  std::string what = "connecting to " + name;
  if (err != ENOENT) return sys_error(err, what);
  return Error(Code::kUnavailable, what + ": " + std::strerror(err), Kind::kNone, err);
}

bool sent(int socket, std::string_view& data) {
  ssize_t n = ::send(socket, data.data(), data.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (n >= 0) data.remove_prefix(static_cast<std::size_t>(n));
  return n >= 0;
}

void send_all(int socket, std::string_view data, const Wait& wait, const std::string& what) {
  while (!data.empty()) {
    if (sent(socket, data) || errno == EINTR) continue;
    if (errno != EAGAIN) throw sys_error("sending " + what);
    wait_ready(socket, POLLOUT, wait, what);
  }
}

}  // namespace

UniqueFd connect_at(int dir, const std::string& name, const Wait& wait) {
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) throw sys_error("making a socket for " + name);
  set_step(socket.get());
  sockaddr_un address = address_of(fd_path(dir, name));
  while (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) < 0) {
    if (errno != EAGAIN && errno != EINTR) throw connect_error(errno, name);
    wait.check();
    if (wait.expired()) throw_timeout("connecting to " + name);
  }
  set_non_blocking(socket.get());
  return socket;
}

Call::Call(UniqueFd socket, const Request& request, const Wait& wait, uint32_t stream)
    : socket_(std::move(socket)), what_(request.service + "/" + request.method), stream_(stream) {
  std::string frame = encode_frame(FrameType::kRequest, stream_, encode(request));
  send_all(socket_.get(), frame, wait, what_);
}

// Reads toward a buffer of `want` bytes, never beyond it. False: nothing more is there now.
bool Call::fill(std::size_t want) {
  while (buffer_.size() < want) {
    std::size_t have = buffer_.size();
    buffer_.resize(have + std::min(want - have, kChunk));
    ssize_t n = ::recv(socket_.get(), buffer_.data() + have, buffer_.size() - have, MSG_DONTWAIT);
    int err = errno;
    buffer_.resize(have + static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
    if (n > 0) continue;
    if (n == 0)
      throw Error(Code::kUnavailable,
                  what_ + ": the peer closed the connection before it answered");
    if (err == EAGAIN) return false;
    if (err != EINTR) throw sys_error(err, "reading the answer of " + what_);
  }
  return true;
}

// True if the frame in the buffer is what was waited for; others (of a call given up before) are
// dropped.
bool Call::is_mine(const Header& header) const {
  return header.stream == stream_ && header.type == static_cast<uint8_t>(FrameType::kResponse);
}

bool Call::advance() {
  while (!done_) {
    if (!fill(kHeaderSize)) return false;
    Header header = decode_header(buffer_.data());
    if (header.length > kMaxFrame)
      throw Error(Code::kResourceExhausted,
                  what_ + ": the answer claims " + std::to_string(header.length) + " bytes");
    if (!fill(kHeaderSize + header.length)) return false;
    if (is_mine(header))
      done_ = true;
    else
      buffer_.clear();
  }
  return true;
}

std::string Call::result() {
  Response response = decode_response(std::string_view(buffer_).substr(kHeaderSize));
  if (response.error) throw std::move(*response.error);
  return std::move(response.payload);
}

std::string Call::finish(const Wait& wait) {
  while (!advance()) wait_ready(socket_.get(), POLLIN, wait, what_);
  return result();
}

std::string call_at(int dir, const std::string& name, Request request, const Wait& wait) {
  UniqueFd socket = connect_at(dir, name, wait);
  if (wait.deadline != kForever)
    request.timeout_ns =
        std::max<int64_t>(1, std::chrono::nanoseconds(wait.deadline - Clock::now()).count());
  return Call(std::move(socket), request, wait).finish(wait);
}

}  // namespace ctrd::ttrpc
