// SPDX-License-Identifier: Apache-2.0
// Events to containerd: their order, its restarts, and that nobody waits for it. Source:
// shim-protocol.md 5.
#include <gmock/gmock.h>

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

TEST(Forwarder, AnAddressThatIsNoneIsRefused) {
  asio::io_context loop{1};
  Error error = error_of([&] { Forwarder forwarder(loop, "relative"); });
  EXPECT_THAT(error.message(), HasSubstr("TTRPC_ADDRESS"));
}

}  // namespace
}  // namespace ctrd::shim
