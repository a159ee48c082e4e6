// SPDX-License-Identifier: Apache-2.0
// Peers that mean harm or die at a bad moment: after each of them the server serves the next.
// Source: reliability.md C4
#include <dirent.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <random>
#include <vector>

#include "base/time.h"
#include "ttrpc/served.h"

namespace ctrd::ttrpc {
namespace {

void expect_serving(const Served& served) {
  Peer peer(served);
  peer.send_request(1, request("Echo", "alive"));
  EXPECT_EQ(peer.read().response.payload, "alive");
}

// Without reading: until the server has closed.
void wait_for_close(const Peer& peer) {
  wait_ready(peer.fd(), 0, {.deadline = after(std::chrono::seconds(100)), .interrupted = {}},
             "the end");
}

std::size_t open_descriptors() {
  std::size_t count = 0;
  DIR* dir = ::opendir("/proc/self/fd");
  while (::readdir(dir) != nullptr) ++count;
  ::closedir(dir);
  return count;
}

TEST(HostilePeer, AFrameThatIsBegunAndNotEndedIsCutOff) {
  Served served(
      Limits{.connections = 1024, .requests = 256, .frame = std::chrono::milliseconds(100)});
  std::string frame = encode_frame(FrameType::kRequest, 1, encode(request("Echo", "hello")));
  for (std::size_t size :
       {std::size_t{1}, kHeaderSize - 1, kHeaderSize, kHeaderSize + 1, frame.size() - 1}) {
    Peer peer(served);
    peer.send(std::string_view(frame).substr(0, size));
    EXPECT_TRUE(peer.at_end()) << size;
  }
  Peer draining(served);
  draining.send_frame({.length = 0xFFFFFFFF, .stream = 1, .type = 1}, "only this");
  EXPECT_TRUE(draining.at_end());
}

TEST(HostilePeer, TheLimitOfAFrameStartsAnewWithEach) {
  Served served(Limits{.connections = 1024, .requests = 256, .frame = std::chrono::seconds(3)});
  Peer peer(served);
  std::string frame = encode_frame(FrameType::kRequest, 1, encode(request("Echo", "hello")));
  peer.send(std::string_view(frame).substr(0, 3));
  peer.send(std::string_view(frame).substr(3));
  EXPECT_EQ(peer.read().response.payload, "hello");
  peer.send("x");
  EXPECT_TRUE(peer.at_end());
}

TEST(HostilePeer, AnIdleConnectionHasNoLimit) {
  Served served(
      Limits{.connections = 1024, .requests = 256, .frame = std::chrono::milliseconds(20)});
  Peer idle(served), slow(served);
  slow.send("x");
  EXPECT_TRUE(slow.at_end());  // so more than the limit has passed
  idle.send_request(1, request("Echo", "late"));
  EXPECT_EQ(idle.read().response.payload, "late");
}

TEST(HostilePeer, APeerThatDoesNotReadIsCutOff) {
  Served served(
      Limits{.connections = 1024, .requests = 256, .frame = std::chrono::milliseconds(100)});
  Peer peer(served);
  peer.send_request(1, request("Big", std::to_string(kMaxFrame / 2)));
  wait_for_close(peer);
  EXPECT_EQ(served.under_way(), 0u);
  EXPECT_THROW(peer.read(), std::runtime_error);
}

TEST(HostilePeer, UnreadAnswersDoNotPileUp) {
  Served served;
  Peer peer(served);
  for (uint32_t i = 0; i < 12; ++i)
    peer.send_request(2 * i + 1, request("Big", std::to_string(kMaxFrame / 2)));
  wait_for_close(peer);
  int answers = 0;
  EXPECT_THROW(for (;; ++answers) peer.read(), std::runtime_error);
  EXPECT_LT(answers, 12);
  expect_serving(served);
}

TEST(HostilePeer, MayCloseWithinAFrame) {
  Served served;
  std::string frame = encode_frame(FrameType::kRequest, 1, encode(request("Echo", "hello")));
  for (std::size_t size = 0; size < frame.size(); ++size) {
    Peer peer(served);
    peer.send(std::string_view(frame).substr(0, size));
    peer.close();
  }
  expect_serving(served);
}

TEST(HostilePeer, MayConnectAndLeaveManyTimes) {
  Served served;
  expect_serving(served);
  std::size_t before = open_descriptors();
  for (int i = 0; i < 10'000; ++i) Peer{served};
  expect_serving(served);
  EXPECT_TRUE(becomes_true([&] { return open_descriptors() <= before; }));
}

TEST(HostilePeer, MayLeaveWithoutReadingTheAnswer) {
  Served served;
  for (int i = 0; i < 200; ++i) {
    Peer peer(served);
    peer.send_request(1, request("Big", "1000000"));
    peer.close();
  }
  expect_serving(served);
  EXPECT_TRUE(becomes_true([&] { return served.under_way() == 0; }));
}

TEST(HostilePeer, ConnectionsBeyondTheLimitAreClosedAtOnce) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  rlimit raised{.rlim_cur = std::min<rlim_t>(limit.rlim_max, 8192), .rlim_max = limit.rlim_max};
  if (raised.rlim_cur < 2300) GTEST_SKIP() << "the hard limit of open files is " << limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &raised);
  {
    Served served;
    std::vector<Peer> peers;
    peers.reserve(1024);
    for (int i = 0; i < 1024; ++i) peers.emplace_back(served);
    peers.back().send_request(1, request("Echo", "last"));
    EXPECT_EQ(peers.back().read().response.payload, "last");
    Peer beyond(served);
    EXPECT_TRUE(beyond.at_end());
    peers.clear();
    EXPECT_TRUE(becomes_true([&] {
      Peer peer(served);
      peer.send_request(1, request("Echo", "room again"));
      try {
        return peer.read().response.payload == "room again";
      } catch (const std::runtime_error&) {
        return false;
      }
    }));
  }
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

void send_with_descriptor(int socket, std::string_view bytes, int fd) {
  iovec part{.iov_base = const_cast<char*>(bytes.data()), .iov_len = bytes.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(header), &fd, sizeof(fd));
  ASSERT_EQ(::sendmsg(socket, &message, MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
}

// The write end goes with the bytes from `split` on; when nobody holds it any more, the read end is
// at its end.
void expect_descriptor_closed(const Served& served, std::size_t split) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  UniqueFd reader(ends[0]), writer(ends[1]);
  Peer peer(served);
  std::string frame = encode_frame(FrameType::kRequest, 1, encode(request("Echo", "with a gift")));
  peer.send(std::string_view(frame).substr(0, split));
  send_with_descriptor(peer.fd(), std::string_view(frame).substr(split), writer.get());
  writer.reset();
  EXPECT_EQ(peer.read().response.payload, "with a gift");
  wait_ready(reader.get(), POLLIN,
             {.deadline = after(std::chrono::seconds(100)), .interrupted = {}}, "the pipe's end");
  char byte;
  EXPECT_EQ(::read(reader.get(), &byte, 1), 0);
}

TEST(HostilePeer, DescriptorsSentAlongAreClosed) {
  Served served;
  for (std::size_t split : {std::size_t{0}, std::size_t{4}, kHeaderSize, kHeaderSize + 3})
    expect_descriptor_closed(served, split);
}

// The ids of this thread only (the libc would change those of all).
void become(uid_t uid, gid_t gid) {
  if (::syscall(SYS_setresgid, gid, gid, gid) != 0 || ::syscall(SYS_setresuid, uid, uid, uid) != 0)
    std::abort();
}

TEST(HostilePeer, AnotherUserIsClosedWithoutAWord) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  Served served;
  struct Row {
    uid_t uid;
    gid_t gid;
  };
  for (Row row : {Row{65534, 65534}, Row{65534, 0}, Row{0, 65534}}) {
    std::thread other([&] {
      become(row.uid, row.gid);
      Peer peer(served);
      peer.send_request(1, request("Echo"));
      EXPECT_TRUE(peer.at_end()) << row.uid << ":" << row.gid;
    });
    other.join();
  }
  expect_serving(served);
}

TEST(HostilePeer, GarbageNeverEndsTheServer) {
  Served served;
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    std::string bytes(random() % 4096, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    bool plausible = round % 2 == 0;  // every other one with a length that ends
    Peer peer(served);
    if (plausible)
      peer.send_frame({.length = static_cast<uint32_t>(bytes.size()), .stream = 1, .type = 1},
                      bytes);
    else
      peer.send(bytes);
  }
  expect_serving(served);
}

}  // namespace
}  // namespace ctrd::ttrpc
