// SPDX-License-Identifier: Apache-2.0
// A task's life under the real shim with the real runtimes.
#include <sys/wait.h>

#include <csignal>

#include "api/frame_log.h"
#include "base/error.h"
#include "base/files.h"
#include "shim/harness.h"

namespace ctrd::shim {
namespace {

class Life : public Runtimes {};
CTRD_EACH_RUNTIME(Life);

using Args = std::vector<std::string>;

TEST_P(Life, CreateStartWaitDelete) {
  Harness h(runtime());
  h.configure({"/bin/sh", "-c", "exit 7"});
  h.spawn();
  uint32_t pid = h.create();
  EXPECT_GT(pid, 1U);
  EXPECT_EQ(h.state().status, api::Status::kCreated);
  EXPECT_EQ(h.status_file().status, api::Status::kCreated);
  EXPECT_EQ(h.start(), pid);
  api::WaitResponse ended = h.wait();
  EXPECT_EQ(ended.exit_status, 7U);
  EXPECT_EQ(h.state().status, api::Status::kStopped);
  api::ExitFile exit = h.exit_file();
  EXPECT_EQ(exit.status, 7U);
  EXPECT_EQ(exit.signal, 0U);
  EXPECT_GT(exit.exited_ns, exit.started_ns);
  EXPECT_NE(exit.started_ns, api::kNotYet);
  EXPECT_FALSE(exit.output_cut);
  EXPECT_EQ(h.status_file().status, api::Status::kStopped);
  api::DeleteResponse deleted = h.remove_and_leave();
  EXPECT_EQ(deleted.exit_status, 7U);
  EXPECT_EQ(deleted.pid, pid);
  EXPECT_EQ(deleted.exited_ns, ended.exited_ns);
}

TEST_P(Life, OutputArrivesWholeInFifos) {
  Harness h(runtime());
  UniqueFd out = h.fifo("stdout");
  UniqueFd err = h.fifo("stderr");
  h.configure({"/bin/sh", "-c", "yes | head -c 3000000; echo oops >&2"});
  h.spawn();
  h.create();
  h.start();
  std::string text = read_to_end(out.get());
  EXPECT_EQ(text.size(), 3000000U);
  EXPECT_EQ(read_to_end(err.get()), "oops\n");
  EXPECT_EQ(h.wait().exit_status, 0U);
  h.remove_and_leave();
}

// B5: Wait does not wait for a slow reader, who gets everything, however long that takes.
TEST_P(Life, WhatIsReadAfterTheEndIsWhole) {
  Harness h(runtime());
  h.options.drain_ns = 0;
  UniqueFd out = h.fifo("stdout");
  h.configure({"/bin/sh", "-c", "yes | head -c 100000"});  // a FIFO takes 64 KiB
  h.spawn();
  h.create();
  h.start();
  EXPECT_EQ(h.wait().exit_status, 0U);
  EXPECT_EQ(read_to_end(out.get()).size(), 100000U);
  EXPECT_FALSE(h.remove("").output_cut);
  EXPECT_EQ(h.exit_status(), 0);
}

// A3: LargeFileRead and BindMountRead.
TEST_P(Life, ReadsALargeFileFromABindMount) {
  Harness h(runtime());
  std::string text;
  while (text.size() < (64U << 20)) text += std::to_string(text.size()) + "\n";
  make_dir_at(open_dir(h.dir).get(), "data", 0755);
  replace_file_at(open_dir(h.dir + "/data").get(), "large", text, 0644, false);
  UniqueFd out = h.fifo("stdout");
  h.configure({"/bin/sh", "-c", "cat /tmp/large; echo > /tmp/large"});
  oci::Json config =
      oci::parse_json(read_file_at(h.bundle_dir.get(), "config.json"), "config.json");
  config["mounts"].push_back({{"destination", "/tmp"},
                              {"type", "bind"},
                              {"source", h.dir + "/data"},
                              {"options", {"rbind", "ro"}}});
  replace_file_at(h.bundle_dir.get(), "config.json", config.dump(), 0600, false);
  h.spawn();
  h.create();
  h.start();
  EXPECT_TRUE(read_to_end(out.get()) == text);
  EXPECT_EQ(h.wait().exit_status, 1U);  // it may not write there
  h.remove_and_leave();
  EXPECT_EQ(std::filesystem::file_size(h.dir + "/data/large"), text.size());
}

TEST_P(Life, FramedLogHoldsBothStreamsInOrder) {
  Harness h(runtime());
  h.stdout_path = h.stderr_path = api::kLogPath;
  h.configure({"/bin/sh", "-c", "echo out; echo err >&2"});
  h.spawn();
  h.create();
  h.start();
  h.wait();
  api::LogReader reader(open_dir(h.options.log_dir));
  std::string out, err;
  while (auto record = reader.next()) {
    if (record->stream == api::Stream::kStdout) out += record->data;
    if (record->stream == api::Stream::kStderr) err += record->data;
  }
  EXPECT_EQ(out, "out\n");
  EXPECT_EQ(err, "err\n");
  EXPECT_TRUE(reader.ended());
  h.remove_and_leave();
}

TEST_P(Life, StderrMergesIntoStdout) {
  Harness h(runtime());
  UniqueFd out = h.fifo("stdout");
  h.stderr_path = api::kMergePath;
  h.configure({"/bin/sh", "-c", "echo one; echo two >&2; echo three"});
  h.spawn();
  h.create();
  h.start();
  EXPECT_EQ(read_to_end(out.get()), "one\ntwo\nthree\n");
  h.wait();
  h.remove_and_leave();
}

TEST_P(Life, StdinEndsByCloseIoAndWriters) {
  Harness h(runtime());
  UniqueFd in = h.fifo("stdin");
  UniqueFd out = h.fifo("stdout");
  h.configure({"/bin/cat"});
  h.spawn();
  h.create();
  h.start();
  write_all(in.get(), "hello");
  in.reset();  // a writer that goes is not the end
  EXPECT_EQ(h.state().status, api::Status::kRunning);
  h.call<api::Empty>("CloseIO",
                     api::CloseIORequest{.id = h.id, .exec_id = "", .stdin_closed = true});
  h.call<api::Empty>("CloseIO",
                     api::CloseIORequest{.id = h.id, .exec_id = "", .stdin_closed = true});
  EXPECT_EQ(read_to_end(out.get()), "hello");
  EXPECT_EQ(h.wait().exit_status, 0U);
  h.remove_and_leave();
}

TEST_P(Life, KillRunning) {
  Harness h(runtime());
  h.configure({"/bin/sleep", "1000"});
  h.spawn();
  uint32_t pid = h.create();
  h.start();
  EXPECT_EQ(h.call<api::PidsResponse>("Pids", api::PidsRequest{h.id}).processes.at(0).pid, pid);
  h.kill(0);
  h.kill(SIGKILL);
  EXPECT_EQ(h.wait().exit_status, 137U);
  EXPECT_EQ(h.exit_file().signal, 9U);
  Error error = error_of([&] { h.kill(SIGKILL); });
  EXPECT_EQ(error.code(), Code::kNotFound);
  EXPECT_NE(error.message().find("process already finished"), std::string::npos);
  h.remove_and_leave();
}

TEST_P(Life, KillAllReachesEveryProcess) {
  Harness h(runtime());
  h.configure({"/bin/sh", "-c", "sleep 1000 & sleep 1000 & wait"});
  h.spawn();
  h.create();
  h.start();
  h.kill(SIGKILL, true);
  EXPECT_EQ(h.wait().exit_status, 137U);
  h.remove_and_leave();
}

TEST_P(Life, DeleteOfCreatedKillsIt) {
  Harness h(runtime());
  h.configure({"/bin/sleep", "1000"});
  h.spawn();
  h.create();
  EXPECT_EQ(h.remove_and_leave().exit_status, 137U);
}

TEST_P(Life, KilledWhileCreatedReleasesWait) {
  Harness h(runtime());
  h.configure({"/bin/sleep", "1000"});
  h.spawn();
  h.create();
  h.kill(SIGKILL);
  EXPECT_EQ(h.wait().exit_status, 137U);
  EXPECT_EQ(h.exit_file().started_ns, api::kNotYet);
  EXPECT_EQ(error_of([&] { h.start(); }).code(), Code::kFailedPrecondition);
  h.remove_and_leave();
}

TEST_P(Life, WrongStatesHaveTheirCodes) {
  Harness h(runtime());
  h.configure({"/bin/sleep", "1000"});
  h.spawn();
  for (const char* verb :
       {"State", "Start", "Delete", "Wait", "Kill", "Pids", "CloseIO", "ResizePty"}) {
    Error error = error_of([&] {
      h.raw_call(api::kTaskV2, verb, api::encode(api::StateRequest{h.id, ""}));
    });
    EXPECT_EQ(error.code(), Code::kNotFound) << verb;
    EXPECT_EQ(error.kind(), Kind::kTask) << verb;
  }
  h.create();
  EXPECT_EQ(error_of([&] { h.create(); }).code(), Code::kAlreadyExists);
  h.start();
  EXPECT_EQ(error_of([&] { h.start(); }).code(), Code::kFailedPrecondition);
  EXPECT_EQ(error_of([&] { h.remove(); }).code(), Code::kFailedPrecondition);
  EXPECT_EQ(error_of([&] { h.kill(65); }).code(), Code::kInvalidArgument);
  Error error = error_of([&] {
    h.call<api::StateResponse>("State", api::StateRequest{h.id, "x1"});
  });
  EXPECT_EQ(error.code(), Code::kNotFound);
  EXPECT_EQ(error.kind(), Kind::kProcess);
  EXPECT_EQ(error_of([&] {
              h.call<api::StateResponse>("State", api::StateRequest{"other", ""});
            }).kind(),
            Kind::kTask);
  EXPECT_EQ(error_of([&] { h.raw_call(api::kTaskV3, "Checkpoint", ""); }).code(), Code::kNotFound);
  EXPECT_EQ(error_of([&] { h.raw_call(api::kTaskV3, "Nonsense", ""); }).code(),
            Code::kUnimplemented);
  EXPECT_EQ(error_of([&] { h.raw_call("no.such.Service", "State", ""); }).code(),
            Code::kUnimplemented);
  h.raw_call(api::kTaskV2, "Shutdown",
             api::encode(api::ShutdownRequest{h.id, true}));  // does nothing
  h.kill(SIGKILL);
  h.wait();
  h.remove_and_leave();
}

TEST_P(Life, ConnectAndInfo) {
  Harness h(runtime());
  h.configure({"/bin/sleep", "1000"});
  h.spawn();
  auto before = h.call<api::ConnectResponse>("Connect", api::ConnectRequest{h.id});
  EXPECT_EQ(before.task_pid, 0U);
  EXPECT_EQ(before.shim_pid, static_cast<uint32_t>(h.shim.pid));
  uint32_t pid = h.create();
  EXPECT_EQ(
      h.call<api::ConnectResponse>("Connect", api::ConnectRequest{h.id}, api::kTaskV3).task_pid,
      pid);
  auto info = h.call<api::InfoResponse>("Info", api::Empty{}, api::kShimV1);
  EXPECT_EQ(info.instance, h.options.instance);
  EXPECT_FALSE(info.owned);
  h.remove_and_leave();
}

TEST_P(Life, RootfsMountsVanishWithTheShim) {
  Harness h(runtime());
  for (const char* name : {"upper", "work"}) make_dir_at(open_dir(h.dir).get(), name, 0755);
  h.rootfs = {{.type = "overlay",
               .source = "overlay",
               .target = "",
               .options = {"lowerdir=" + busybox_root(), "upperdir=" + h.dir + "/upper",
                           "workdir=" + h.dir + "/work"}}};
  h.configure({"/bin/sh", "-c", "echo written > /file"},
              {{"root", {{"path", h.bundle + "/rootfs"}}}});
  h.spawn();
  h.create();
  h.start();
  EXPECT_EQ(h.wait().exit_status, 0U);
  h.remove_and_leave();
  EXPECT_EQ(read_file_at(open_dir(h.dir + "/upper").get(), "file"), "written\n");
}

TEST_P(Life, SharedPidNamespaceLeavesNoProcess) {
  Harness h(runtime());
  oci::Json namespaces = oci::Json::array();
  for (const char* type : {"mount", "ipc", "uts"}) namespaces.push_back({{"type", type}});
  UniqueFd out = h.fifo("stdout");
  h.configure({"/bin/sh", "-c", "sleep 1000 & echo started"},
              {{"linux", {{"namespaces", namespaces}}}});
  h.spawn();
  h.create();
  h.start();
  EXPECT_EQ(h.wait().exit_status, 0U);
  EXPECT_FALSE(h.exit_file().output_cut);
  EXPECT_EQ(read_to_end(out.get()), "started\n");
  h.remove_and_leave();
}

TEST_P(Life, TimeLimitKills) {
  Harness h(runtime());
  h.configure({"/bin/sleep", "1000"});
  h.spawn();
  h.create();
  h.call<api::Empty>("Limit",
                     api::LimitRequest{.id = h.id, .exec_id = "", .timeout_ns = 50'000'000},
                     api::kShimV1);
  h.start();
  EXPECT_EQ(h.wait().exit_status, 137U);
  EXPECT_TRUE(h.exit_file().timed_out);
  h.remove_and_leave();
}

// It had ended by itself when the limit came, but nobody had seen it yet.
TEST_P(Life, TimeLimitAfterTheEnd) {
  Harness h(runtime());
  UniqueFd out = h.fifo("stdout");
  h.configure({"/bin/sh", "-c", "trap 'exit 0' TERM; echo on; while :; do sleep 0.02; done"});
  h.spawn();
  auto pid = static_cast<pid_t>(h.create());
  h.call<api::Empty>("Limit", api::LimitRequest{h.id, "", 700'000'000}, api::kShimV1);
  h.start();
  wait_ready(out.get(), POLLIN, soon(), "waiting for its trap");
  ::kill(h.shim.pid, SIGSTOP);
  ::kill(pid, SIGTERM);
  std::string stat = std::to_string(pid) + "/stat";
  EXPECT_TRUE(eventually([&] {
    return read_file_at(open_dir("/proc").get(), stat).find(") Z ") != std::string::npos;
  }));
  poll_until({}, soon().within(std::chrono::milliseconds(800)));  // the limit
  ::kill(h.shim.pid, SIGCONT);
  h.wait();
  api::ExitFile exit = h.exit_file();
  EXPECT_EQ(exit.timed_out, exit.signal == SIGKILL) << exit.status;
  h.remove_and_leave();
}

TEST_P(Life, OutOfMemoryIsSaid) {
  Harness h(runtime());
  h.configure({"/bin/sh", "-c", "x=aaaaaaaaaaaaaaaa; while true; do x=$x$x; done"},
              {{"linux", {{"resources", {{"memory", {{"limit", 32 << 20}}}}}}}});
  h.spawn();
  h.create();
  h.start();
  h.wait();
  EXPECT_TRUE(h.exit_file().oom_killed);
  EXPECT_EQ(h.exit_file().status, 137U);
  h.remove_and_leave();
}

TEST_P(Life, WrongFormatProgramStartsAndFails) {
  Harness h(runtime());
  UniqueFd err = h.fifo("stderr");
  std::string program = busybox_root() + "/bin/garbage-" + GetParam();
  UniqueFd file(::open(program.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0755));
  write_all(file.get(), "\x01\x02\x03garbage");
  file.reset();
  h.configure({"/bin/garbage-" + std::string(GetParam())});
  h.spawn();
  h.create();
  h.start();
  EXPECT_EQ(h.wait().exit_status, 1U);
  EXPECT_NE(read_to_end(err.get()).size(), 0U);
  h.remove_and_leave();
}

}  // namespace
}  // namespace ctrd::shim
