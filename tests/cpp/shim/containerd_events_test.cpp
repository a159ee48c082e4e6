// SPDX-License-Identifier: Apache-2.0
// Events to containerd: their order, its restarts, and that nobody waits for it. Source:
// shim-protocol.md 5.
#include <gmock/gmock.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "shim/containerd.h"
#include "shim/forwarder.h"

namespace ctrd::shim {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct ContainerdEvents : ::testing::Test {
  Containerd c{find_program("crun").value()};

  void run_and_delete() {
    c.create();
    c.h.start();
    c.h.kill(SIGKILL);
    c.h.wait();
    c.h.remove();
  }
  void finish() {
    c.shutdown();
    EXPECT_EQ(c.h.exit_status(), 0);
  }
};

TEST_F(ContainerdEvents, InOrderAndWithWhatTheySay) {
  EventServer server(c.events);
  c.h.configure({"/bin/sleep", "1000"});
  c.start();
  run_and_delete();
  finish();
  EXPECT_THAT(server.topics(),
              ElementsAre("/tasks/create", "/tasks/start", "/tasks/exit", "/tasks/delete"));
  for (const api::Event& event : server.events()) {
    EXPECT_EQ(event.ns, "ns");
    EXPECT_EQ(event.id, "");
    EXPECT_GT(event.time_ns, 0);
  }
  auto exit = api::decode<api::TaskExit>(server.events()[2].event.value);
  EXPECT_EQ(exit.container_id, c.h.id);
  EXPECT_EQ(exit.id, c.h.id);
  EXPECT_EQ(exit.exit_status, 137U);
}

TEST_F(ContainerdEvents, NoneIsLostWhileContainerdIsAway) {
  c.h.configure({"/bin/sleep", "1000"});
  std::optional<EventServer> server(c.events);
  c.start();
  c.create();
  EXPECT_TRUE(eventually([&] { return server->topics().size() == 1; }));
  server.reset();
  c.h.start();
  c.h.kill(SIGKILL);
  c.h.wait();
  server.emplace(c.events);
  EXPECT_TRUE(eventually([&] { return server->topics().size() == 2; }));
  c.h.remove();
  finish();
  EXPECT_THAT(server->topics(), ElementsAre("/tasks/start", "/tasks/exit", "/tasks/delete"));
}

// Another shim takes 15 s for that.
TEST_F(ContainerdEvents, WithoutAnybodyThereTheShimEndsAtOnce) {
  c.events = c.h.dir + "/nothing/events";
  c.h.configure({"/bin/sleep", "1000"});
  c.start();
  run_and_delete();
  TimePoint before = Clock::now();
  finish();
  EXPECT_LT(Clock::now() - before, std::chrono::seconds(5));
}

// containerd on a busy machine: it is alive, and is waited for.
TEST_F(ContainerdEvents, NoneIsLostToASlowOne) {
  EventServer server(c.events, "", std::chrono::milliseconds(700));
  c.h.configure({"/bin/sleep", "1000"});
  c.start();
  run_and_delete();
  finish();
  EXPECT_THAT(server.topics(),
              ElementsAre("/tasks/create", "/tasks/start", "/tasks/exit", "/tasks/delete"));
}

// containerd has died after its Delete, before its Shutdown. Without events it would have left
// after a fifth of that.
TEST_F(ContainerdEvents, AnIdleShimWaitsForSomebodyToTellThem) {
  c.flags = {"-idle-ms", "300"};
  c.h.configure({"/bin/sleep", "1000"});
  c.start();
  run_and_delete();
  pollfd ended{.fd = c.h.shim.pidfd.get(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(::poll(&ended, 1, 2000), 0);
  EventServer server(c.events);
  EXPECT_TRUE(eventually([&] { return server.topics().size() == 4; }));
  EXPECT_EQ(c.h.exit_status(), 0);
}

// Ten minutes after such an end, were this not made smaller.
TEST_F(ContainerdEvents, AnIdleShimDoesNotWaitForEver) {
  c.flags = {"-idle-ms", "20"};
  c.h.configure({"/bin/sleep", "1000"});
  c.start();
  run_and_delete();
  EXPECT_EQ(c.h.exit_status(), 0);
}

TEST_F(ContainerdEvents, NoneForACreateThatFails) {
  EventServer server(c.events);
  c.h.configure({"/nothing"});
  c.start();
  EXPECT_NE(error_of([&] { c.create(); }).code(), Code::kOk);
  finish();
  EXPECT_THAT(server.topics(), ElementsAre());
}

TEST(Forwarder, ExitsAndDeletionsAreTheLastToBeGivenUp) {
  std::string path = ::testing::TempDir() + "/ctrd-events-" + std::to_string(::getpid());
  asio::io_context loop{1};
  Forwarder forwarder(loop, "unix://" + path, {.waiting = 3});
  forwarder.add(api::make_event("ns", api::TaskExit{.container_id = "a", .id = "a"}));
  forwarder.add(api::make_event("ns", api::TaskExit{.container_id = "b", .id = "b"}));
  for (int i = 0; i < 10; ++i) forwarder.add(api::make_event("ns", api::TaskOOM{"a"}));
  forwarder.add(api::make_event("ns", api::TaskDelete{.container_id = "a", .id = {}}));
  EXPECT_EQ(forwarder.waiting(), 3U);
  EventServer server(path);
  loop.run();
  EXPECT_THAT(server.topics(), ElementsAre("/tasks/exit", "/tasks/exit", "/tasks/delete"));
}

enum class There { kNobody, kNobodyAnyMore, kBusy };

// With a queue of clients that is full, if it is busy.
struct Listener {
  Listener(const std::string& path, There there) {
    if (there == There::kNobody) return;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    auto* at = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(::bind(fd.get(), at, sizeof(address)), 0);
    if (there == There::kNobodyAnyMore) return;
    EXPECT_EQ(::listen(fd.get(), 0), 0);
    do clients.push_back(make());
    while (::connect(clients.back().get(), at, sizeof(address)) == 0);
    EXPECT_EQ(errno, EAGAIN);
  }
  static UniqueFd make() {
    return UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  }

  UniqueFd fd = make();
  std::vector<UniqueFd> clients;
};

asio::awaitable<void> finish_and_stop(asio::io_context* loop, Forwarder* forwarder,
                                      LastChance limits) {
  co_await forwarder->finish(limits);
  loop->stop();
}

TEST(Forwarder, TheLastOnesWaitLongerForOneThatIsThere) {
  constexpr LastChance kLimits{.slow = std::chrono::milliseconds(900),
                               .absent = std::chrono::milliseconds(100)};
  for (There there : {There::kNobody, There::kNobodyAnyMore, There::kBusy}) {
    std::string path = ::testing::TempDir() + "/ctrd-last-" + std::to_string(::getpid());
    Listener listener(path, there);
    asio::io_context loop{1};
    Forwarder forwarder(loop, path);
    forwarder.add(api::make_event("ns", api::TaskOOM{"a"}));
    TimePoint begun = Clock::now();
    start(loop, finish_and_stop(&loop, &forwarder, kLimits), "the last events");
    loop.run();
    Nanos took = Clock::now() - begun;
    EXPECT_GE(took, kLimits.absent);
    EXPECT_EQ(took >= kLimits.slow, there == There::kBusy) << static_cast<int>(there);
    ::unlink(path.c_str());
  }
}

TEST(Forwarder, AnAddressThatIsNoneIsRefused) {
  asio::io_context loop{1};
  Error error = error_of([&] { Forwarder forwarder(loop, "relative"); });
  EXPECT_THAT(error.message(), HasSubstr("TTRPC_ADDRESS"));
}

}  // namespace
}  // namespace ctrd::shim
