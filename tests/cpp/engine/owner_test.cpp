// SPDX-License-Identifier: Apache-2.0
// Containers and processes: other processes use them, and they end with their owner, whichever way
// it ends.
#include <signal.h>
#include <unistd.h>

#include <filesystem>

#include "base/cgroup.h"
#include "base/files.h"
#include "engine/fixture.h"

namespace ctrd::engine {
namespace {

class OwnerTest : public EngineTest {
 protected:
  // Until the container is in no list and nothing of it is left; the engine's own verbs do the
  // removing.
  void expect_gone(const std::string& id) {
    for (Wait wait = soon(); !wait.expired();) {
      engine().recover(soon());
      if (!std::filesystem::exists(bundle(id)) && engine().list(kNs, {}, soon()).empty()) return;
      poll_until({}, wait.within(std::chrono::milliseconds(5)));
    }
    ADD_FAILURE() << "container " << id << " is still there";
  }
};

TEST_F(OwnerTest, AnotherProcessSeesAndWaits) {
  Second owner("own", helper_args());
  ASSERT_EQ(owner.line(), "started");
  ContainerInfo info = engine().get(kNs, "c", soon());
  EXPECT_EQ(info.status, TaskStatus::kRunning);
  EXPECT_EQ(info.owner_pid, owner.pid());
  Second waiter("wait", helper_args());
  ASSERT_EQ(waiter.line(), "waiting");
  engine().kill_task(task("c"), SIGKILL, std::nullopt, false, soon());
  EXPECT_EQ(waiter.line(), "137");
  EXPECT_EQ(engine().wait_task(task("c"), soon()).status, 137);
  EXPECT_TRUE(engine().remove(kNs, "c", false, false, soon()));
}

TEST_F(OwnerTest, AKilledOwnersContainerGoesWhole) {
  Second owner("own", helper_args());
  ASSERT_EQ(owner.line(), "started");
  std::string cgroup;
  for (const auto& process : engine().task_processes(task("c"), soon()))
    EXPECT_GT(process.facts.pid, 0);
  Second waiter("wait", helper_args());
  ASSERT_EQ(waiter.line(), "waiting");
  owner.kill();
  EXPECT_TRUE(engine().list(kNs, {}, soon()).empty());  // at once, whatever still ends
  EXPECT_EQ(code_of([&] { engine().get(kNs, "c", soon()); }), Code::kNotFound);
  EXPECT_EQ(waiter.line(), "137");
  expect_gone("c");
}

TEST_F(OwnerTest, AnOwnerThatJustLeavesTakesItAlong) {
  Second owner("own", helper_args());
  ASSERT_EQ(owner.line(), "started");
  EXPECT_EQ(owner.wait().status, 0);  // without close()
  EXPECT_TRUE(engine().list(kNs, {}, soon()).empty());
  expect_gone("c");
}

TEST_F(OwnerTest, ItsIdCanBeUsedAgainAtOnce) {
  Second owner("own", helper_args());
  ASSERT_EQ(owner.line(), "started");
  owner.kill();
  CreateOptions options = this->options({"/bin/true"});
  options.id = "c";
  EXPECT_EQ(engine().create(kNs, options, soon()).owner_pid, ::getpid());
  EXPECT_EQ(engine().status(kNs, "c", soon()), TaskStatus::kNone);
}

TEST_F(OwnerTest, AShimThatHangsGoesWithItsOwnerToo) {
  Second owner("own", helper_args());
  ASSERT_EQ(owner.line(), "started");
  ASSERT_EQ(engine().status(kNs, "c", soon()), TaskStatus::kRunning);
  ASSERT_EQ(::kill(shim_pid("c"), SIGSTOP), 0);
  owner.kill();
  EXPECT_TRUE(engine().list(kNs, {}, soon()).empty());
  engine().recover(soon());
  EXPECT_FALSE(std::filesystem::exists(bundle("c")));
}

TEST_F(OwnerTest, ARecordWithoutATaskGoesToo) {
  Second owner("own_record", helper_args());
  ASSERT_EQ(owner.line(), "created");
  EXPECT_TRUE(engine().contains(kNs, "c", soon()));
  owner.kill();
  EXPECT_FALSE(engine().contains(kNs, "c", soon()));
  EXPECT_TRUE(engine().list(kNs, {}, soon()).empty());
}

TEST_F(OwnerTest, ADetachedOneStays) {
  Second owner("own_detached", helper_args());
  ASSERT_EQ(owner.line(), "started");
  owner.kill();
  EXPECT_EQ(engine().status(kNs, "c", soon()), TaskStatus::kRunning);
  EXPECT_TRUE(engine().remove(kNs, "c", true, false, soon()));
}

TEST_F(OwnerTest, WhoStartsItIsNotItsOwner) {
  Second owner("own_record", helper_args());
  ASSERT_EQ(owner.line(), "created");
  Second starter("start", helper_args());
  ASSERT_EQ(starter.line(), "started");
  EXPECT_EQ(starter.wait().status, 0);
  EXPECT_EQ(engine().status(kNs, "c", soon()),
            TaskStatus::kRunning);  // though its shim's parent has gone
  owner.kill();
  expect_gone("c");
}

TEST_F(OwnerTest, ReplaceNeverTakesALiveProcesssContainer) {
  Second owner("own", helper_args());
  ASSERT_EQ(owner.line(), "started");
  CreateOptions options = this->options({"/bin/true"});
  options.id = "c";
  EXPECT_EQ(code_of([&] { engine().create(kNs, options, soon()); }), Code::kAlreadyExists);
  options.replace = true;
  EXPECT_EQ(code_of([&] { engine().create(kNs, options, soon()); }), Code::kAborted);
  EXPECT_EQ(engine().status(kNs, "c", soon()), TaskStatus::kRunning);
  EXPECT_TRUE(engine().remove(kNs, "c", true, false, soon()));
}

TEST_F(OwnerTest, AnotherProcessKillsAndRemoves) {
  std::string id = "c";
  CreateOptions options = this->options({"/bin/sleep", "1000"});
  options.id = id;
  engine().create(kNs, options, soon());
  engine().create_task(kNs, id, {}, false, soon());
  engine().start_task(task(id), soon());
  Second lister("list", helper_args());
  EXPECT_EQ(lister.line(), "c 2");
  EXPECT_EQ(lister.line(), "end");
  EXPECT_EQ(Second("kill", helper_args()).wait().status, 0);
  EXPECT_EQ(engine().wait_task(task(id), soon()).status, 137);
  EXPECT_EQ(Second("remove", helper_args()).wait().status, 0);
  EXPECT_FALSE(engine().contains(kNs, id, soon()));
}

}  // namespace
}  // namespace ctrd::engine
