// SPDX-License-Identifier: Apache-2.0
#include "base/socket_table.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "base/error.h"
#include "base/unique_fd.h"

namespace ctrd {
namespace {

constexpr pid_t kNone = 0x3fffffff;  // above every pid_max

uint64_t inode_of(const UniqueFd& socket) {
  struct stat facts {};
  EXPECT_EQ(::fstat(socket.get(), &facts), 0);
  return facts.st_ino;
}

std::pair<UniqueFd, UniqueFd> unix_pair(int type) {
  int ends[2] = {-1, -1};
  EXPECT_EQ(::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends), 0);
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

bool may_enter_namespaces() {
  try {
    unix_sockets(::getpid());
    return true;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kPermissionDenied);
    return false;
  }
}

TEST(SocketTable, UnixSocketsKnowEachOther) {
  if (!may_enter_namespaces()) GTEST_SKIP() << "needs CAP_SYS_ADMIN";
  for (int type : {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM}) {
    SCOPED_TRACE(type);
    auto [a, b] = unix_pair(type);
    UniqueFd alone(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
    auto all = unix_sockets(::getpid());
    EXPECT_EQ(all.at(inode_of(a)).peer, inode_of(b));
    EXPECT_EQ(all.at(inode_of(b)).peer, inode_of(a));
    EXPECT_EQ(all.at(inode_of(a)).is_stream, type != SOCK_DGRAM);
    auto found = all.find(inode_of(alone));
    EXPECT_TRUE(found == all.end() || found->second.peer == 0);
    b.reset();
    EXPECT_EQ(unix_sockets(::getpid()).at(inode_of(a)).peer, 0U);
  }
}

TEST(SocketTable, TcpAndUdp) {
  for (int family : {AF_INET, AF_INET6}) {
    SCOPED_TRACE(family);
    UniqueFd server(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!server || ::listen(server.get(), 1) < 0) continue;  // no IPv6 here
    sockaddr_storage address{};
    socklen_t size = sizeof(address);
    auto* any = reinterpret_cast<sockaddr*>(&address);
    ASSERT_EQ(::getsockname(server.get(), any, &size), 0);
    UniqueFd client(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::connect(client.get(), any, size), 0);
    UniqueFd udp(::socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::bind(udp.get(), any, size), 0);
    auto all = inet_sockets(::getpid());
    EXPECT_EQ(all.at(inode_of(server)), InetState::kListening);
    EXPECT_EQ(all.at(inode_of(client)), InetState::kConnected);
    EXPECT_EQ(all.at(inode_of(udp)), InetState::kOther);
  }
}

TEST(SocketTable, OfNobody) {
  EXPECT_TRUE(unix_sockets(kNone).empty());
  EXPECT_TRUE(inet_sockets(kNone).empty());
}

}  // namespace
}  // namespace ctrd
