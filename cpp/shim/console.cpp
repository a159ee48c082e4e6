// SPDX-License-Identifier: Apache-2.0
#include "shim/console.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/files.h"

namespace ctrd::shim {
namespace {

constexpr const char* kSocket = "tty";
constexpr uint32_t kMostCells = 65535;
constexpr Nanos kMoment = std::chrono::seconds(1);
constexpr Nanos kLookEvery = std::chrono::milliseconds(2);
constexpr std::size_t kMostFds = 4;

Error no_terminal(const std::string& why) {
  return Error(Code::kInternal, "the runtime exited 0 without handing over a terminal: " + why,
               Kind::kRuntime);
}

UniqueFd listen_at(int dir) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) throw sys_error("making a console socket");
  unlink_at(dir, kSocket);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  fd_path(dir, kSocket).copy(address.sun_path, sizeof(address.sun_path) - 1);
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) < 0 ||
      ::listen(fd.get(), 1) < 0)
    throw sys_error("listening on a console socket");
  return fd;
}

// The first descriptor of a message; the others are closed.
UniqueFd first_descriptor(msghdr& message) {
  UniqueFd first;
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
       part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(int));
      UniqueFd owned(fd);
      if (!first) first = std::move(owned);
    }
  }
  return first;
}

// False: not there yet.
bool read_message(int connection, UniqueFd* master) {
  char data[4096];
  alignas(cmsghdr) char control[CMSG_SPACE(kMostFds * sizeof(int))];
  iovec part{data, sizeof(data)};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  ssize_t n = ::recvmsg(connection, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (n < 0) throw sys_error("receiving a terminal");
  *master = first_descriptor(message);
  return true;
}

UniqueFd checked(UniqueFd master) {
  if (!master) throw no_terminal("its message has no descriptor");
  unsigned number = 0;
  if (::ioctl(master.get(), TIOCGPTN, &number) < 0)
    throw no_terminal("its descriptor is no terminal's master");
  if (::fcntl(master.get(), F_SETFL, O_RDWR | O_NONBLOCK) < 0)
    throw sys_error("making a terminal non-blocking");
  return master;
}

}  // namespace

void check_size(Size size) {
  for (auto [field, value] : {std::pair{"width", size.columns}, {"height", size.rows}})
    if (value < 1 || value > kMostCells)
      throw invalid(field, std::to_string(value), "must be 1 to 65535");
}

void set_size(int master, Size size) {
  winsize cells{};
  cells.ws_col = static_cast<unsigned short>(size.columns);
  cells.ws_row = static_cast<unsigned short>(size.rows);
  if (::ioctl(master, TIOCSWINSZ, &cells) < 0) throw sys_error("resizing a terminal");
}

ConsoleSocket::ConsoleSocket(UniqueFd dir)
    : dir_(std::move(dir)), listener_(listen_at(dir_.get())) {}

ConsoleSocket::~ConsoleSocket() { ::unlinkat(dir_.get(), kSocket, 0); }

std::string ConsoleSocket::path() const {
  return "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(dir_.get()) + "/" +
         kSocket;
}

asio::awaitable<UniqueFd> ConsoleSocket::receive() {
  TimePoint deadline = after(kMoment);
  UniqueFd connection, master;
  for (;;) {
    if (!connection) connection.reset(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (connection && read_message(connection.get(), &master)) break;
    if (Clock::now() >= deadline) throw no_terminal("nothing was sent");
    co_await pause_for(kLookEvery);
  }
  co_return checked(std::move(master));
}

}  // namespace ctrd::shim
