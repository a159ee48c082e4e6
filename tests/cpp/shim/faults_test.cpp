// SPDX-License-Identifier: Apache-2.0
// What goes wrong around a task: readers that are gone or stopped, clients, owners and spawners
// that die, runtimes that fail.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <csignal>
#include <tuple>

#include "base/error.h"
#include "base/files.h"
#include "base/process.h"
#include "shim/harness.h"
#include "ttrpc/client.h"

namespace ctrd::shim {
namespace {

class Faults : public Runtimes {};
CTRD_EACH_RUNTIME(Faults);

Child sleeper() {
  SpawnSpec spec;
  spec.argv = {"/bin/busybox", "sleep", "1000"};
  return ctrd::spawn(spec);
}

void end(Child& child) {
  ::kill(child.pid, SIGKILL);
  reap(child, soon());
}

bool is_gone(uint32_t pid) { return !start_time(static_cast<pid_t>(pid)); }

TEST_P(Faults, ReaderThatGoesBlocksNothing) {
  Harness h(runtime());
  UniqueFd out = h.fifo("stdout");
  h.configure({"/bin/sh", "-c", "yes | head -c 3000000; exit 3"});
  h.spawn();
  h.create();
  out.reset();
  h.start();
  EXPECT_EQ(h.wait().exit_status, 3U);
  EXPECT_FALSE(h.exit_file().output_cut);
  h.remove_and_leave();
}

TEST_P(Faults, StoppedReaderDelaysOnlyItsStream) {
  Harness h(runtime());
  h.options.drain_ns =
      100'000'000;  // a FIFO takes 64 KiB of what it writes, so that the rest is cut
  UniqueFd out = h.fifo("stdout");
  UniqueFd err = h.fifo("stderr");
  h.configure({"/bin/sh", "-c", "yes | head -c 100000; echo still >&2; exec sleep 1000 2>&-"});
  h.spawn();
  h.create();
  h.start();
  EXPECT_EQ(read_to_end(err.get()), "still\n");
  EXPECT_EQ(h.state().status, api::Status::kRunning);
  h.kill(SIGKILL);
  EXPECT_EQ(h.wait().exit_status, 137U);
  EXPECT_FALSE(h.exit_file().output_cut);
  EXPECT_TRUE(h.remove("").output_cut);
  EXPECT_EQ(h.exit_status(), 0);
}

TEST_P(Faults, OwnerDiesAndAllGoes) {
  Harness h(runtime());
  Child owner = sleeper();
  h.configure({"/bin/sh", "-c", "sleep 1000 & wait"});
  h.spawn(owner.pidfd.get());
  uint32_t pid = h.create();
  h.start();
  EXPECT_TRUE(h.call<api::InfoResponse>("Info", api::Empty{}, api::kShimV1).owned);
  end(owner);
  EXPECT_EQ(h.exit_status(), 0);
  EXPECT_TRUE(is_gone(pid));
  EXPECT_EQ(h.exit_file().status, 137U);
  EXPECT_EQ(h.status_file().status, api::Status::kStopped);
  for (const char* name : {api::kRuntimeDir, api::kSocketFile, api::kIoDir})
    EXPECT_FALSE(exists_at(h.bundle_dir.get(), name)) << name;
}

TEST_P(Faults, DetachedOutlivesItsOwner) {
  Harness h(runtime());
  Child owner = sleeper();
  h.configure({"/bin/sleep", "1000"});
  h.spawn(owner.pidfd.get());
  h.create();
  h.start();
  h.call<api::Empty>("Detach", api::Empty{}, api::kShimV1);
  EXPECT_FALSE(h.call<api::InfoResponse>("Info", api::Empty{}, api::kShimV1).owned);
  end(owner);
  EXPECT_EQ(h.state().status, api::Status::kRunning);
  h.kill(SIGKILL);
  h.wait();
  h.remove_and_leave();
}

TEST_P(Faults, SpawnerDiesBeforeCreate) {
  Harness h(runtime());
  Child spawner = sleeper();
  h.configure({"/bin/true"});
  h.spawn(-1, spawner.pidfd.get());
  EXPECT_EQ(h.call<api::ConnectResponse>("Connect", api::ConnectRequest{h.id}).task_pid, 0U);
  end(spawner);
  EXPECT_EQ(h.exit_status(), 0);
}

TEST_P(Faults, SpawnerMayDieAfterCreate) {
  Harness h(runtime());
  Child spawner = sleeper();
  h.options.lifetime = api::Lifetime::kDetached;
  h.configure({"/bin/true"});
  h.spawn(-1, spawner.pidfd.get());
  h.create();
  end(spawner);
  h.start();
  EXPECT_EQ(h.wait().exit_status, 0U);
  h.remove_and_leave();
}

TEST_P(Faults, SigtermEndsTaskAndShim) {
  Harness h(runtime());
  h.configure({"/bin/sleep", "1000"});
  h.spawn();
  uint32_t pid = h.create();
  h.start();
  ::kill(h.shim.pid, SIGTERM);
  EXPECT_EQ(h.exit_status(), 0);
  EXPECT_TRUE(is_gone(pid));
}

TEST_P(Faults, FailedCreateLeavesNothingAndIsRepeatable) {
  Harness h(runtime());
  h.stdout_path = h.stderr_path = api::kLogPath;
  h.configure({"/bin/nope"});
  h.spawn();
  Error missing = error_of([&] { h.create(); });
  EXPECT_EQ(missing.code(), Code::kNotFound) << missing.message();
  EXPECT_NE(missing.message().find("/bin/nope"), std::string::npos) << missing.message();
  EXPECT_EQ(error_of([&] { h.state(); }).code(), Code::kNotFound);
  EXPECT_FALSE(exists_at(h.bundle_dir.get(), api::kStatusFile));
  EXPECT_FALSE(exists_at(h.bundle_dir.get(), api::kRuntimeDir));
  h.expect_no_cgroup();
  h.configure({"/bin/true"});
  h.create();
  h.start();
  EXPECT_EQ(h.wait().exit_status, 0U);
  h.remove_and_leave();
}

TEST_P(Faults, BadRequestsAreNamed) {
  Harness h(runtime());
  h.configure({"/bin/true"});
  h.spawn();
  auto refused = [&](auto change) {
    api::CreateRequest request = h.create_request();
    change(request);
    return error_of([&] { h.call<api::CreateResponse>("Create", request); });
  };
  EXPECT_EQ(refused([](auto& r) { r.id = "other"; }).code(), Code::kInvalidArgument);
  EXPECT_EQ(refused([](auto& r) { r.bundle = "/tmp"; }).code(), Code::kInvalidArgument);
  EXPECT_EQ(refused([](auto& r) { r.terminal = true; }).code(), Code::kInvalidArgument);
  EXPECT_EQ(refused([](auto& r) { r.checkpoint = "/tmp/x"; }).code(), Code::kNotFound);
  EXPECT_EQ(refused([](auto& r) { r.options.type_url = "x"; }).code(), Code::kInvalidArgument);
  EXPECT_EQ(refused([](auto& r) { r.stdout_path = "relative"; }).code(), Code::kInvalidArgument);
  EXPECT_EQ(refused([](auto& r) { r.stdout_path = "/dev/null"; }).code(), Code::kInvalidArgument);
  EXPECT_EQ(refused([](auto& r) { r.stdin_path = "/no/such"; }).code(), Code::kNotFound);
  h.options.cgroups_path = "/";
  EXPECT_EQ(error_of([&] { h.create(); }).code(), Code::kInvalidArgument);
  h.options.cgroups_path = h.cgroup;
  h.options.binary_name = "/no/such/runtime";
  Error missing = error_of([&] { h.create(); });
  EXPECT_EQ(missing.code(), Code::kNotFound);
  EXPECT_NE(missing.message().find("\"/no/such/runtime\""), std::string::npos) << missing.message();
  h.options.binary_name = h.runtime;
  h.create();
  h.remove_and_leave();
}

TEST_P(Faults, ClientThatLeavesDuringCreateGetsItsTask) {
  Harness h(runtime());
  h.configure({"/bin/sleep", "1000"});
  h.spawn();
  ttrpc::Request request;
  request.service = api::kTaskV2;
  request.method = "Create";
  request.payload = api::encode(h.create_request());
  {
    ttrpc::Call call(ttrpc::connect_at(h.bundle_dir.get(), api::kSocketFile, soon()), request,
                     soon());
  }
  Error error(Code::kOk, "");
  do error = error_of([&] { h.create(); });  // behind the first one's lock
  while (error.code() == Code::kUnavailable);
  EXPECT_EQ(error.code(), Code::kAlreadyExists) << error.message();
  EXPECT_EQ(h.state().status, api::Status::kCreated);
  h.remove_and_leave();
}

TEST_P(Faults, ParkedWaitIsAnsweredByDeleteOfCreated) {
  Harness h(runtime());
  h.configure({"/bin/sleep", "1000"});
  h.spawn();
  h.create();
  ttrpc::Request request;
  request.service = api::kTaskV2;
  request.method = "Wait";
  request.payload = api::encode(api::WaitRequest{h.id, ""});
  ttrpc::Call parked(ttrpc::connect_at(h.bundle_dir.get(), api::kSocketFile, soon()), request,
                     soon());
  h.state();
  h.remove();
  EXPECT_EQ(api::decode<api::WaitResponse>(parked.finish(soon())).exit_status, 137U);
  EXPECT_EQ(h.exit_status(), 0);
}

TEST_P(Faults, SignalsAndDescriptorsAreClean) {
  Harness h(runtime());
  UniqueFd out = h.fifo("stdout");
  h.configure(
      {"/bin/sh", "-c", "grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status; umask; ls /proc/self/fd"});
  h.spawn();
  h.create();
  h.start();
  std::string text = read_to_end(out.get());
  std::string zero = ":\t0000000000000000\n";
  std::string rest = zero + "0022\n0\n1\n2\n3\n";  // 3 is ls's own
  EXPECT_EQ(text, "SigBlk" + zero + "SigIgn" + zero + "SigCgt" + rest);
  h.wait();
  h.remove_and_leave();
}

// Two hundred in eight tests, each well within a test's time on a loaded machine.
class QuickExits : public ::testing::TestWithParam<std::tuple<const char*, uint32_t>> {};
INSTANTIATE_TEST_SUITE_P(Real, QuickExits,
                         ::testing::Combine(::testing::Values("crun", "runc"),
                                            ::testing::Values(0U, 25U, 50U, 75U)));

TEST_P(QuickExits, AreAllDelivered) {
  auto [name, first] = GetParam();
  for (uint32_t status = first; status < first + 25; ++status) {
    Harness h(find_program(name).value());
    h.configure({"/bin/sh", "-c", "exit " + std::to_string(status)});
    h.spawn();
    h.create();
    h.start();
    ASSERT_EQ(h.wait().exit_status, status);
    h.remove_and_leave();
  }
}

}  // namespace
}  // namespace ctrd::shim
