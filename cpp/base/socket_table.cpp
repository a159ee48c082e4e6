// SPDX-License-Identifier: Apache-2.0
#include "base/socket_table.h"

#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <exception>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "base/unique_fd.h"

namespace ctrd {
namespace {

constexpr int kTcpEstablished = 1, kTcpClosed = 7, kTcpListening = 10;

std::string proc_path(pid_t pid, const char* name) {
  return "/proc/" + std::to_string(pid) + "/" + name;
}

// A socket belongs to the namespace of the thread that makes it: a thread is lent for that, and
// ends, so that no other one ever sees that namespace.
UniqueFd diag_socket(int net) {
  UniqueFd made;
  int failed = 0;
  std::thread([&] {
    if (::setns(net, CLONE_NEWNET) == 0)
      made = UniqueFd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
    if (!made) failed = errno;
  }).join();
  if (failed != 0) throw sys_error(failed, "looking at unix sockets");
  return made;
}

void ask_for_unix_sockets(int socket) {
  struct {
    nlmsghdr head;
    unix_diag_req body;
  } request{};
  request.head.nlmsg_len = sizeof(request);
  request.head.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  request.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.body.sdiag_family = AF_UNIX;
  request.body.udiag_states = ~0U;
  request.body.udiag_show = UDIAG_SHOW_PEER;
  if (::send(socket, &request, sizeof(request), 0) < 0) throw sys_error("asking for unix sockets");
}

void read_row(const nlmsghdr* head, std::map<uint64_t, UnixSocket>* found) {
  const auto* row = static_cast<const unix_diag_msg*>(NLMSG_DATA(head));
  UnixSocket& one = (*found)[row->udiag_ino];
  one.is_stream = row->udiag_type != SOCK_DGRAM;
  auto left = static_cast<unsigned>(head->nlmsg_len - NLMSG_LENGTH(sizeof(*row)));
  for (const auto* fact = reinterpret_cast<const rtattr*>(row + 1); RTA_OK(fact, left);
       fact = RTA_NEXT(fact, left))
    if (fact->rta_type == UNIX_DIAG_PEER) one.peer = *static_cast<const uint32_t*>(RTA_DATA(fact));
}

// False: that was the last part.
bool read_part(int socket, std::map<uint64_t, UnixSocket>* found) {
  alignas(nlmsghdr) char part[32 << 10];
  ssize_t n = ::recv(socket, part, sizeof(part), 0);
  if (n < 0 && errno == EINTR) return true;
  if (n < 0) throw sys_error("reading unix sockets");
  auto left = static_cast<unsigned>(n);
  for (const auto* head = reinterpret_cast<const nlmsghdr*>(part); NLMSG_OK(head, left);
       head = NLMSG_NEXT(head, left)) {
    if (head->nlmsg_type == NLMSG_DONE) return false;
    if (head->nlmsg_type == NLMSG_ERROR)
      throw sys_error(-static_cast<const nlmsgerr*>(NLMSG_DATA(head))->error,
                      "looking at unix sockets");
    read_row(head, found);
  }
  return n > 0;
}

InetState state_of(bool is_tcp, int state) {
  if (!is_tcp || state == kTcpClosed) return InetState::kOther;
  return state == kTcpListening ? InetState::kListening : InetState::kConnected;
}

// Columns: slot, local, remote, state, queues, timer, retransmits, uid, timeout, inode.
void read_table(const std::string& path, bool is_tcp, std::map<uint64_t, InetState>* found) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return;
  std::istringstream lines(read_file(fd.get(), 64u << 20));
  std::string line;
  std::getline(lines, line);
  while (std::getline(lines, line)) {
    std::istringstream columns(line);
    std::string skipped;
    int state = kTcpEstablished;
    uint64_t inode = 0;
    columns >> skipped >> skipped >> skipped >> std::hex >> state >> std::dec;
    for (int i = 0; i < 5; ++i) columns >> skipped;
    if (columns >> inode && inode != 0) (*found)[inode] = state_of(is_tcp, state);
  }
}

}  // namespace

std::map<uint64_t, UnixSocket> unix_sockets(pid_t pid) {
  std::map<uint64_t, UnixSocket> found;
  UniqueFd net(::open(proc_path(pid, "ns/net").c_str(), O_RDONLY | O_CLOEXEC));
  if (!net && (errno == ENOENT || errno == ESRCH)) return found;
  if (!net) throw sys_error("opening a network namespace");
  UniqueFd socket = diag_socket(net.get());
  ask_for_unix_sockets(socket.get());
  while (read_part(socket.get(), &found)) {
  }
  return found;
}

std::map<uint64_t, InetState> inet_sockets(pid_t pid) {
  std::map<uint64_t, InetState> found;
  for (const char* name : {"net/tcp", "net/tcp6"}) read_table(proc_path(pid, name), true, &found);
  for (const char* name : {"net/udp", "net/udp6", "net/raw", "net/raw6"})
    read_table(proc_path(pid, name), false, &found);
  return found;
}

}  // namespace ctrd
