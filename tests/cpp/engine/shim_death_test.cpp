// SPDX-License-Identifier: Apache-2.0
// Shims that are killed, machines that reboot, and what a crash leaves half-made: the next verb
// settles it.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>

#include "api/bundle.h"
#include "base/cgroup.h"
#include "base/files.h"
#include "engine/fixture.h"

namespace ctrd::engine {
namespace {

class ShimDeath : public RuntimeTest {};
CTRD_EACH_RUNTIME(ShimDeath);

TEST_P(ShimDeath, TheTaskIsEndedAndItsExitRecorded) {
  std::string id = start({"/bin/sleep", "1000"});
  std::string cgroup = api::find_status_file(open_dir(bundle(id)).get())->cgroups_path;
  ASSERT_FALSE(cgroup_pids(cgroup).empty());
  kill_shim(id);
  ExitStatus exit = engine().wait_task(task(id), soon());
  EXPECT_EQ(exit.status, 137);
  EXPECT_EQ(exit.signal, 9);
  EXPECT_EQ(exit.lost, Lost::kShim);
  EXPECT_GT(exit.exited_ns, 0);
  EXPECT_TRUE(cgroup_dirs(cgroup).empty());
  EXPECT_EQ(engine().get(kNs, id, soon()).status, TaskStatus::kStopped);
  engine().create_task(kNs, id, {}, true, soon());  // starts again
  engine().start_task(task(id), soon());
  EXPECT_EQ(engine().status(kNs, id, soon()), TaskStatus::kRunning);
}

TEST_P(ShimDeath, EachVerbMayBeTheFirstToMeetIt) {
  for (auto& verb : std::vector<std::function<void(const std::string&)>>{
           [&](auto& id) { EXPECT_EQ(engine().get(kNs, id, soon()).exit->lost, Lost::kShim); },
           [&](auto& id) { EXPECT_EQ(engine().poll_task(task(id), soon())->status, 137); },
           [&](auto& id) { EXPECT_EQ(engine().status(kNs, id, soon()), TaskStatus::kStopped); },
           [&](auto& id) { engine().kill_task(task(id), SIGTERM, std::nullopt, false, soon()); },
           [&](auto& id) {
             EXPECT_EQ(engine().stop_task(task(id), SIGTERM, kLong, soon()).status, 137);
           },
           [&](auto& id) {
             EXPECT_EQ(engine().list(kNs, {}, soon())[0].status, TaskStatus::kStopped);
             (void)id;
           },
           [&](auto& id) {
             EXPECT_EQ(code_of([&] { engine().start_task(task(id), soon()); }),
                       Code::kFailedPrecondition);
           },
           [&](auto&) { engine().recover(soon()); }}) {
    std::string id = start({"/bin/sleep", "1000"});
    kill_shim(id);
    verb(id);
    EXPECT_TRUE(engine().remove(kNs, id, false, false, soon()));
  }
}

class ShimDeathOfOne : public EngineTest {
 protected:
  // A bundle as a crash leaves it: nobody holds its lock.
  void make_bundle_files(const std::string& id, const api::StatusFile& status) {
    UniqueFd dir = make_dirs_at(open_dir(state_).get(), kNs + "/" + id, 0700);
    create_file_at(dir.get(), api::kStatusFile, api::encode_file(status), 0600);
    make_dirs_at(open_dir(root_).get(), "logs/" + status.instance, 0700);
  }
};

TEST_F(ShimDeathOfOne, AParkedWaitLearnsOfIt) {
  std::string id = start({"/bin/sleep", "1000"});
  ProcessKey shim{shim_pid(id), *start_time(shim_pid(id)), boot_id()};
  bool killed = false;
  Wait wait = soon();
  wait.interrupted =
      [&] {  // asked once before it blocks, then every 50 ms: by then the call is parked
        static int asked = 0;
        if (++asked == 4 && !killed) killed = signal_process(shim, SIGKILL);
      };
  EXPECT_EQ(engine().wait_task(task(id), wait).lost, Lost::kShim);
}

TEST_F(ShimDeathOfOne, AShimThatHangsIsKilledByForce) {
  Config quick = config();
  quick.rpc_timeout = std::chrono::milliseconds(300);
  std::string id = start({"/bin/sleep", "1000"});
  auto hasty = Engine::open(quick);
  ASSERT_EQ(::kill(shim_pid(id), SIGSTOP), 0);
  EXPECT_EQ(code_of([&] { hasty->kill_task(task(id), SIGTERM, std::nullopt, false, soon()); }),
            Code::kDeadlineExceeded);
  EXPECT_TRUE(hasty->remove(kNs, id, true, false, soon()));
  hasty->close(soon());
}

TEST_F(ShimDeathOfOne, AfterARebootItIsLostToIt) {
  CreateOptions options = this->options({"/bin/true"});
  options.id = "c";
  engine().create(kNs, options, soon());
  api::StatusFile status;
  status.instance = "0123456789abcdef";
  status.status = api::Status::kRunning;
  status.pid = static_cast<uint32_t>(::getpid());  // a pid of another boot says nothing: we live on
  status.pid_start = *start_time(::getpid());
  status.boot_id = "11111111-2222-3333-4444-555555555555";
  status.started_ns = 5;
  make_bundle_files("c", status);
  ExitStatus exit = engine().wait_task(task("c"), soon());
  EXPECT_EQ(exit.status, 255);
  EXPECT_FALSE(exit.signal);
  EXPECT_EQ(exit.lost, Lost::kReboot);
  EXPECT_EQ(exit.started_ns, 5);
  EXPECT_EQ(engine().delete_task(task("c"), false, soon()).status, 255);
}

TEST_F(ShimDeathOfOne, WhatACrashLeavesIsRemoved) {
  open()->recover(soon());
  api::StatusFile making;
  making.instance = "0123456789abcdef";
  make_bundle_files("half-made", making);
  api::StatusFile orphan = making;
  orphan.instance = "0123456789abcde0";
  orphan.status = api::Status::kCreated;
  make_bundle_files("no-record", orphan);
  for (const char* name : {".new-12", ".del-34"})
    make_dirs_at(open_dir(state_ + "/" + kNs).get(), std::string(name) + "/deep", 0700);
  for (int round = 0; round < 2; ++round) {
    engine().recover(soon());
    EXPECT_EQ(list_dir(open_dir(state_ + "/" + kNs).get()), std::vector<std::string>{".exits"});
    EXPECT_TRUE(std::filesystem::is_empty(root_ + "/logs"));
  }
}

TEST_F(ShimDeathOfOne, ANewEnginesFirstVerbRecovers) {
  open()->recover(soon());
  api::StatusFile making;
  making.instance = "0123456789abcdef";
  make_bundle_files("half-made", making);
  open()->list(kNs, {}, soon());
  EXPECT_TRUE(std::filesystem::is_empty(state_ + "/" + kNs));
}

TEST_F(ShimDeathOfOne, ALeftoverIsNoObstacle) {
  std::string id = create({"/bin/true"});
  api::StatusFile making;
  making.instance = "0123456789abcdef";
  make_bundle_files(id, making);
  EXPECT_EQ(engine().status(kNs, id, soon()), TaskStatus::kNone);
  engine().create_task(kNs, id, {}, false, soon());
  engine().delete_task(task(id), true, soon());
  making.instance = "0123456789abcde1";
  make_bundle_files(id, making);
  EXPECT_TRUE(engine().remove(kNs, id, false, false, soon()));
  api::StatusFile orphan = making;
  orphan.status = api::Status::kCreated;
  orphan.instance = "0123456789abcde2";
  make_bundle_files("again", orphan);  // a new container of that id does not inherit it
  CreateOptions options = this->options({"/bin/true"});
  options.id = "again";
  engine().create(kNs, options, soon());
  EXPECT_EQ(engine().status(kNs, "again", soon()), TaskStatus::kNone);
}

TEST_F(ShimDeathOfOne, AHeldClaimIsLeftAlone) {
  open()->recover(soon());
  api::StatusFile making;
  making.instance = "0123456789abcdef";
  make_bundle_files("held", making);
  {
    UniqueFd held = open_dir(bundle("held"));
    ASSERT_TRUE(try_lock(held.get()));
    engine().recover(soon());
    EXPECT_TRUE(std::filesystem::exists(bundle("held")));
  }
  engine().recover(soon());
  EXPECT_FALSE(std::filesystem::exists(bundle("held")));
}

}  // namespace
}  // namespace ctrd::engine
