// SPDX-License-Identifier: Apache-2.0
// What has been seen to end, hang or mislead another shim or containerd, as far as no other file
// here has it. Source: shim-protocol.md 2.2 to 2.8, 2.11, 3.3, 5, 9.
#include <gmock/gmock.h>

#include <csignal>
#include <filesystem>

#include "base/files.h"
#include "base/mount.h"
#include "base/process.h"
#include "shim/containerd.h"
#include "shim/forwarder.h"

namespace ctrd::shim {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Pitfalls : Runtimes {
  Containerd c{runtime()};

  void run(const oci::Json& patch = oci::Json::object()) {
    c.h.configure({"/bin/sleep", "1000"}, patch);
    c.start();
    pid = static_cast<pid_t>(c.create());
    c.h.start();
  }
  void finish(Containerd& one) {
    one.shutdown();
    EXPECT_EQ(one.h.exit_status(), 0);
    EXPECT_FALSE(std::filesystem::exists(one.socket));
  }
  void end() {
    c.h.kill(SIGKILL);
    c.h.wait();
    c.h.remove();
    finish(c);
  }
  pid_t pid = 0;
};
CTRD_EACH_RUNTIME(Pitfalls);

// Others give several containers one shim: whose end would then be all of theirs.
TEST_P(Pitfalls, AnnotationsGroupNothing) {
  oci::Json group = {
      {"annotations",
       {{"io.kubernetes.cri.sandbox-id", "s"}, {"io.containerd.runc.v2.group", "g"}}}};
  Containerd other(runtime());
  other.h.configure({"/bin/sleep", "1000"}, group);
  other.start();
  run(group);
  EXPECT_NE(c.socket, other.socket);
  EXPECT_NE(c.h.shim.pid, other.h.shim.pid);
  finish(other);
  end();
}

// SIGKILL leaves it.
TEST_P(Pitfalls, ASocketOfAKilledShimIsInNobodysWay) {
  c.start();
  std::string left = c.socket;
  ::kill(c.h.shim.pid, SIGKILL);
  EXPECT_EQ(c.h.exit_status(), 137);
  EXPECT_TRUE(std::filesystem::exists(left));
  run();
  EXPECT_FALSE(std::filesystem::exists(left));
  end();
}

// containerd reads both streams of start as the address.
TEST_P(Pitfalls, StartSaysItsAddressAndNothingElse) {
  c.flags = {"-debug", "-unheard-of", "x", "-namespace", std::string(76, 'n')};
  c.env = {"CTRD_LOG=debug", "MAX_SHIM_VERSION=2", "GRPC_ADDRESS=/x", "NAMESPACE=ns",
           "TTRPC_ADDRESS="};
  Output out = c.start();
  EXPECT_EQ(out.err, "");
  EXPECT_EQ(out.out, "unix://" + c.socket);
  EXPECT_LE(c.socket.size(), 106U);
  finish(c);
}

// A panic of Go's, which ends the shim with all that is in it.
TEST_P(Pitfalls, MessagesThatCannotBeReadAreRefused) {
  api::Any bad{std::string(api::kRuncOptionsType), "\xff"};
  Output out = c.execute("start", api::encode(bad));
  EXPECT_EQ(out.exit.status, 1);
  EXPECT_EQ(out.out, "");
  EXPECT_THAT(out.err, HasSubstr("Options"));
  EXPECT_FALSE(std::filesystem::exists(c.h.bundle + "/address"));
  api::Any good = c.options;
  c.h.configure({"/bin/sleep", "1000"});
  c.start();
  c.options = bad;
  EXPECT_EQ(error_of([&] { c.create(); }).code(), Code::kInvalidArgument);
  c.options = good;
  c.create();
  c.h.start();
  api::UpdateTaskRequest update{.id = c.h.id, .resources = {"x", "{"}, .annotations = {}};
  EXPECT_EQ(error_of([&] { c.h.call<api::Empty>("Update", update); }).code(),
            Code::kInvalidArgument);
  constexpr const char* kSandbox = "containerd.runtime.sandbox.v1.Sandbox";
  EXPECT_EQ(error_of([&] { c.h.raw_call(kSandbox, "CreateSandbox", ""); }).code(),
            Code::kUnimplemented);
  EXPECT_EQ(c.h.state().status, api::Status::kRunning);
  end();
}

// containerd gives it 5 s.
TEST_P(Pitfalls, DeleteIsQuickThoughTheRuntimeHangs) {
  std::string script = "#!/bin/sh\ncase \" $* \" in *' delete '*) exec sleep 1000;; esac\nexec " +
                       runtime() + " \"$@\"\n";
  replace_file_at(open_dir(c.h.dir).get(), "runtime", script, 0755, false);
  api::RuncOptions theirs;
  theirs.binary_name = c.h.dir + "/runtime";
  c.options.value = api::encode(theirs);
  run();
  ::kill(c.h.shim.pid, SIGKILL);
  EXPECT_EQ(c.h.exit_status(), 137);
  TimePoint before = Clock::now();
  Output out = c.execute("delete");
  EXPECT_LT(Clock::now() - before, std::chrono::seconds(5));
  EXPECT_EQ(out.exit.status, 0);
  EXPECT_EQ(api::decode<api::DeleteResponse>(out.out).pid, static_cast<uint32_t>(pid));
  EXPECT_TRUE(eventually([&] { return !start_time(pid); }));
  c.h.expect_no_cgroup();
}

// As systemd sends it to all of a service: containers outlive containerd.
TEST_P(Pitfalls, SigtermIsTheShimsAlone) {
  run();
  ::kill(c.h.shim.pid, SIGTERM);
  EXPECT_EQ(c.h.exit_status(), 0);
  EXPECT_TRUE(is_alive({pid, start_time(pid).value_or(0), boot_id()}));
  EXPECT_EQ(c.clean_up().pid, static_cast<uint32_t>(pid));
  EXPECT_TRUE(eventually([&] { return !start_time(pid); }));
}

TEST_P(Pitfalls, AnExecThatWasAddedBeforeTheEndIsNotStartedAfterIt) {
  run();
  Harness::Proc p = c.h.proc("e", {"/bin/true"});
  c.h.add(p);
  c.h.kill(SIGKILL);
  EXPECT_EQ(c.h.wait().exit_status, 137U);
  Error error = error_of([&] { c.h.start("e"); });
  EXPECT_EQ(error.code(), Code::kFailedPrecondition) << error.message();
  auto deleted = c.h.call<api::DeleteResponse>("Delete", api::DeleteRequest{c.h.id, "e"});
  EXPECT_EQ(deleted.exit_status, 0U);
  EXPECT_EQ(deleted.exited_ns, api::kNotYet);
  c.h.remove();
  finish(c);
}

// A bundle whose rootfs is not empty, or a mount point, stays for ever: containerd only rmdirs it.
struct Mounted : Pitfalls {
  void run_mounted() {
    for (const char* name : {"upper", "work", "data"})
      make_dir_at(open_dir(c.h.dir).get(), name, 0755);
    std::string upper = "upperdir=" + c.h.dir + "/upper", work = "workdir=" + c.h.dir + "/work";
    c.h.rootfs = {
        {.type = "overlay",
         .source = "overlay",
         .target = "",
         .options = {"lowerdir=" + busybox_root(), upper, work}},
        {.type = "bind", .source = c.h.dir + "/data", .target = "tmp", .options = {"rbind"}}};
    std::filesystem::create_directory(c.h.bundle + "/rootfs");
    run({{"root", {{"path", "rootfs"}}}});
    EXPECT_EQ(mounts_below(c.h.bundle).size(), 2U);  // in containerd's namespace
  }
  void expect_empty() const {
    EXPECT_TRUE(mounts_below(c.h.bundle).empty());
    EXPECT_TRUE(std::filesystem::is_empty(c.h.bundle + "/rootfs"));
    EXPECT_TRUE(std::filesystem::exists(c.h.dir + "/data"));
  }
};
CTRD_EACH_RUNTIME(Mounted);

TEST_P(Mounted, NothingIsLeftInTheBundle) {
  run_mounted();
  end();
  expect_empty();
}

TEST_P(Mounted, NorWhenTheShimWasKilled) {
  run_mounted();
  ::kill(c.h.shim.pid, SIGKILL);
  EXPECT_EQ(c.h.exit_status(), 137);
  EXPECT_EQ(c.clean_up().pid, static_cast<uint32_t>(pid));
  expect_empty();
}

TEST_P(Mounted, NorWhenCreateFails) {
  c.h.rootfs = {{.type = "bind", .source = busybox_root(), .target = "", .options = {"rbind"}}};
  std::filesystem::create_directory(c.h.bundle + "/rootfs");
  std::filesystem::create_directory(c.h.dir + "/data");
  c.h.configure({"/nothing"}, {{"root", {{"path", "rootfs"}}}});
  c.start();
  EXPECT_EQ(error_of([&] { c.create(); }).code(), Code::kNotFound);
  expect_empty();
  finish(c);
}

// By hand, with the runtime's own program: TestKillContainerDeletedByRunc.
TEST_P(Pitfalls, ARuntimeThatWasToldToDeleteIt) {
  run();
  SpawnSpec spec{.argv = {runtime(), "--root", c.h.bundle + "/rt", "delete", "--force", c.h.id}};
  EXPECT_EQ(run_command(spec, "", soon()).exit.status, 0);
  EXPECT_EQ(c.h.wait().exit_status, 137U);
  EXPECT_EQ(error_of([&] { c.h.kill(SIGKILL); }).code(), Code::kNotFound);
  EXPECT_EQ(c.h.remove().exit_status, 137U);
  finish(c);
}

// It would be sent again for ever.
TEST(EventPitfalls, OneThatIsRefusedIsNotInTheOthersWay) {
  std::string path = ::testing::TempDir() + "/ctrd-refusing-" + std::to_string(::getpid());
  asio::io_context loop{1};
  Forwarder forwarder(loop, path);
  EventServer server(path, "/tasks/oom");
  forwarder.add(api::make_event("ns", api::TaskExit{.container_id = "a", .id = "a"}));
  forwarder.add(api::make_event("ns", api::TaskOOM{"a"}));
  forwarder.add(api::make_event("ns", api::TaskDelete{.container_id = "a", .id = {}}));
  loop.run();
  EXPECT_THAT(server.topics(), ElementsAre("/tasks/exit", "/tasks/delete"));
  EXPECT_EQ(forwarder.waiting(), 0U);
}

}  // namespace
}  // namespace ctrd::shim
