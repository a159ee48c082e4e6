// SPDX-License-Identifier: Apache-2.0
// The start contract of containerd: start, Task v2 and v3, delete; what stdin may be. Source:
// shim-protocol.md 2.
#include "shim/containerd.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "api/bootstrap.h"
#include "base/files.h"
#include "base/process.h"
#include "shim/start.h"

namespace ctrd::shim {
namespace {

using ::testing::HasSubstr;

struct ContainerdTest : Runtimes {
  Containerd c{runtime()};

  void finish() {
    c.shutdown();
    EXPECT_EQ(c.h.exit_status(), 0);
    EXPECT_FALSE(std::filesystem::exists(c.socket));
  }
};

TEST_P(ContainerdTest, FromStartToDelete) {
  c.h.configure({"/bin/sh", "-c", "exit 7"});
  Output out = c.start();
  EXPECT_EQ(out.out, "unix://" + c.socket);
  EXPECT_EQ(out.err, "");
  EXPECT_EQ(::access(c.socket.c_str(), F_OK), 0);
  EXPECT_GT(c.create(), 0U);
  EXPECT_EQ(c.h.start(), c.h.state().pid);
  EXPECT_EQ(c.h.wait().exit_status, 7U);
  auto waited = c.h.call<api::WaitResponse>("Wait", api::WaitRequest{c.h.id, ""}, api::kTaskV3);
  EXPECT_EQ(waited.exit_status, 7U);
  EXPECT_EQ(c.h.remove().exit_status, 7U);
  // It goes on until it is told to end.
  EXPECT_EQ(error_of([&] { c.h.state(); }).code(), Code::kNotFound);
  EXPECT_EQ(c.h.call<api::ConnectResponse>("Connect", api::ConnectRequest{c.h.id}).task_pid, 0U);
  finish();
  api::DeleteResponse after = c.clean_up();
  EXPECT_EQ(after.exit_status, 137U);
  EXPECT_EQ(after.pid, 0U);
}

TEST_P(ContainerdTest, ShutdownDoesNothingWhileThereIsATask) {
  c.h.configure({"/bin/sleep", "1000"});
  c.start();
  c.create();
  c.h.start();
  c.shutdown();
  EXPECT_EQ(c.h.state().status, api::Status::kRunning);
  c.h.resize("", 0, 0);  // as ctr does in a terminal without a size
  c.h.kill(SIGKILL);
  EXPECT_EQ(c.h.wait().exit_status, 137U);
  c.h.remove();
  finish();
}

TEST_P(ContainerdTest, DeleteEndsWhatAKilledShimHasLeft) {
  c.h.configure({"/bin/sleep", "1000"});
  c.start();
  uint32_t pid = c.create();
  c.h.start();
  ::kill(c.h.shim.pid, SIGKILL);
  EXPECT_EQ(c.h.exit_status(), 137);
  api::DeleteResponse response = c.clean_up();
  EXPECT_EQ(response.pid, pid);
  EXPECT_EQ(response.exit_status, 137U);
  EXPECT_GT(response.exited_ns, 0);
  EXPECT_FALSE(std::filesystem::exists(c.socket));
  EXPECT_TRUE(eventually([&] { return !start_time(static_cast<pid_t>(pid)); }));
  EXPECT_EQ(c.clean_up().exit_status, 137U);  // again
}

// Its connection is lost, and it lives.
TEST_P(ContainerdTest, DeleteEndsAShimThatHasATask) {
  c.h.configure({"/bin/sleep", "1000"});
  c.start();
  pid_t pid = static_cast<pid_t>(c.create());
  EXPECT_EQ(c.clean_up().exit_status, 137U);
  EXPECT_EQ(c.h.exit_status(), 137);
  EXPECT_TRUE(eventually([&] { return !start_time(pid); }));
}

TEST_P(ContainerdTest, AFailedCreateLeavesNothing) {
  c.h.configure({"/nothing"});
  c.start();
  EXPECT_THAT(error_of([&] { c.create(); }).message(), HasSubstr("/nothing"));
  EXPECT_EQ(error_of([&] { c.h.state(); }).code(), Code::kNotFound);
  c.h.expect_no_cgroup();
  finish();
  EXPECT_EQ(c.clean_up().pid, 0U);
}

CTRD_EACH_RUNTIME(ContainerdTest);

TEST(Containerd, DeleteOfABundleThatNeverHadATask) {
  Containerd c(find_program("crun").value());
  EXPECT_EQ(c.clean_up().pid, 0U);
  EXPECT_EQ(c.clean_up().exit_status, 137U);
}

TEST(Containerd, ASecondShimInOneBundleIsRefused) {
  Containerd c(find_program("crun").value());
  c.start();
  Output out = c.execute("start");
  EXPECT_EQ(out.exit.status, 1);
  EXPECT_EQ(out.out, "");
  EXPECT_THAT(out.err, HasSubstr("has a shim already"));
  EXPECT_TRUE(std::filesystem::exists(c.socket));
  c.shutdown();
  EXPECT_EQ(c.h.exit_status(), 0);
}

TEST(Containerd, NamesThatAreNoneAreRefused) {
  Containerd c(find_program("crun").value());
  SpawnSpec spec;
  spec.argv = {shim_binary(), "-namespace", "", "-id", "x", "start"};
  spec.cwd_dir = c.h.bundle_dir.get();
  Output out = run_command(spec, "", soon());
  EXPECT_EQ(out.exit.status, 1);
  EXPECT_THAT(out.err, HasSubstr("-namespace"));
}

TEST(Containerd, BootstrapParamsAreAnsweredWithJson) {
  Containerd c(find_program("crun").value());
  api::BootstrapParams params;
  params.instance_id = c.h.id;
  params.ns = "ns";
  params.socket_dir = c.h.dir + "/other";
  Output out = c.start(api::encode(params));
  oci::Json json = oci::Json::parse(out.out);
  EXPECT_EQ(json["version"], 2);
  EXPECT_EQ(json["protocol"], "ttrpc");
  EXPECT_EQ(json["address"], "unix://" + c.socket);
  EXPECT_THAT(c.socket, HasSubstr("/other/"));
  c.shutdown();
  EXPECT_EQ(c.h.exit_status(), 0);
}

TEST(Containerd, WhateverIsOnStdin) {
  EXPECT_EQ(parse_start_input("", "x", "ns").options.type_url, "");
  EXPECT_EQ(parse_start_input("\xff\xff", "x", "ns").options.type_url, "");
  api::Any any{"some.Type", "value"};
  EXPECT_EQ(parse_start_input(api::encode(any), "x", "ns").options, any);
  api::BootstrapParams params;
  params.instance_id = "x";
  params.ns = "ns";
  any = {std::string(api::kRuncOptionsType), "value"};
  params.extensions = {{{"some.Type", "value"}}, {any}, {{std::string(api::kRuncOptionsType), ""}}};
  StartInput input = parse_start_input(api::encode(params), "x", "ns");
  EXPECT_TRUE(input.params);
  EXPECT_EQ(input.options, any);
  EXPECT_FALSE(parse_start_input(api::encode(params), "y", "ns").params);
}

TEST(Containerd, Info) {
  Containerd c(find_program("crun").value());
  Output out = c.execute("-info", api::encode(c.options));
  EXPECT_EQ(out.exit.status, 0);
  EXPECT_EQ(out.err, "");
  auto info = api::decode<api::RuntimeInfo>(out.out);
  EXPECT_EQ(info.name, "io.containerd.ctrd.v2");
  EXPECT_EQ(info.options, c.options);
  EXPECT_NE(info.version.version, "");
}

}  // namespace
}  // namespace ctrd::shim
