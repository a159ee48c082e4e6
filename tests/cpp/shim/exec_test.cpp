// SPDX-License-Identifier: Apache-2.0
// Execs under the real shim with the real runtimes: shim-protocol.md 3.3, reliability.md A3.
#include <csignal>
#include <filesystem>

#include "base/cgroup.h"
#include "base/error.h"
#include "base/files.h"
#include "base/process.h"
#include "shim/harness.h"

namespace ctrd::shim {
namespace {

class ExecTest : public Runtimes {};
CTRD_EACH_RUNTIME(ExecTest);

using Args = std::vector<std::string>;

Args sh(const std::string& script) { return {"/bin/sh", "-c", script}; }

// The whole of one: its standard output.
std::string run(Harness& h, const std::string& exec_id, const Args& args, uint32_t status = 0) {
  Harness::Proc p = h.proc(exec_id, args, {"stdout"});
  h.add(p);
  h.start(exec_id);
  std::string text = read_to_end(p.out.get());
  EXPECT_EQ(h.wait(exec_id).status, status);
  EXPECT_FALSE(h.remove(exec_id).output_cut);
  return text;
}

TEST_P(ExecTest, AddStartWaitDelete) {
  Harness h(runtime());
  h.run_sleeper();
  Harness::Proc p = h.proc("e1", sh("echo out; echo err >&2; exit 7"), {"stdout", "stderr"});
  h.add(p);
  api::StateResponse state = h.state("e1");
  EXPECT_EQ(state.status, api::Status::kCreated);
  EXPECT_EQ(state.pid, 0U);
  EXPECT_EQ(state.stdout_path, p.request.stdout_path);
  uint32_t pid = h.start("e1");
  EXPECT_GT(pid, 1U);
  EXPECT_EQ(read_to_end(p.out.get()), "out\n");
  EXPECT_EQ(read_to_end(p.err.get()), "err\n");
  api::ExitInfo exit = h.wait("e1");
  EXPECT_EQ(exit.status, 7U);
  EXPECT_EQ(exit.signal, 0U);
  EXPECT_EQ(exit.pid, pid);
  EXPECT_GT(exit.exited_ns, exit.started_ns);
  EXPECT_FALSE(exit.oom_killed || exit.timed_out || exit.escalated);
  EXPECT_EQ(h.call<api::WaitResponse>("Wait", api::WaitRequest{h.id, "e1"}).exit_status, 7U);
  state = h.state("e1");
  EXPECT_EQ(state.status, api::Status::kStopped);
  EXPECT_EQ(state.exit_status, 7U);
  EXPECT_EQ(state.exited_ns, exit.exited_ns);
  auto deleted = h.call<api::DeleteResponse>("Delete", api::DeleteRequest{h.id, "e1"});
  EXPECT_EQ(deleted.exit_status, 7U);
  EXPECT_EQ(deleted.pid, pid);
  EXPECT_FALSE(std::filesystem::exists(h.bundle + "/exec/e1"));
  EXPECT_EQ(error_of([&] { h.state("e1"); }).code(), Code::kNotFound);
  EXPECT_EQ(h.state().status, api::Status::kRunning);
  h.end();
}

TEST_P(ExecTest, EveryExitCodeAndSignal) {
  Harness h(runtime());
  h.run_sleeper();
  for (uint32_t code = 0; code < 256; code += runtime().ends_with("crun") ? 1 : 15)
    run(h, "e", sh("exit " + std::to_string(code)), code);
  run(h, "e", sh("kill -TERM $$"), 143);
  run(h, "e", sh("kill -KILL $$"), 137);
  h.end();
}

TEST_P(ExecTest, IsInItsContainer) {
  Harness h(runtime());
  h.run_sleeper();
  std::string cgroups = run(h, "e", {"/bin/cat", "/proc/self/cgroup"});
  EXPECT_NE(cgroups.find(h.cgroup + "\n"), std::string::npos) << cgroups;
  EXPECT_EQ(run(h, "e", sh("echo $$ > /dev/null; cat /proc/1/cmdline | head -c 10")), "/bin/sleep");
  h.end();
}

TEST_P(ExecTest, WrongStates) {
  Harness h(runtime());
  h.configure({"/bin/sleep", "1000"});
  h.spawn();
  h.create();
  Harness::Proc early = h.proc("early", {"/bin/true"});  // D8 68
  h.add(early);
  h.start("early");
  EXPECT_EQ(h.wait("early").status, 0U);
  h.remove("early");
  h.start();
  Harness::Proc p = h.proc("e", {"/bin/sleep", "1000"});
  h.add(p);
  auto code = [&](auto&& f) { return error_of(f).code(); };
  EXPECT_EQ(code([&] { h.add(p); }), Code::kAlreadyExists);  // D8 70
  auto kill = [&](const std::string& exec, uint32_t signal) {
    h.call<api::Empty>("Kill", api::KillRequest{h.id, exec, signal, false});
  };
  EXPECT_EQ(code([&] { kill("e", SIGTERM); }), Code::kFailedPrecondition);
  h.start("e");
  EXPECT_EQ(code([&] { h.start("e"); }), Code::kFailedPrecondition);
  EXPECT_EQ(code([&] { h.remove("e"); }), Code::kFailedPrecondition);
  EXPECT_EQ(code([&] { h.limit("e", std::chrono::seconds(1)); }), Code::kFailedPrecondition);
  EXPECT_EQ(code([&] { h.add(p); }), Code::kAlreadyExists);
  EXPECT_EQ(code([&] { kill("e", 65); }), Code::kInvalidArgument);
  kill("e", SIGTERM);
  EXPECT_EQ(h.wait("e").status, 143U);
  EXPECT_EQ(code([&] { kill("e", SIGTERM); }), Code::kNotFound);
  EXPECT_EQ(code([&] { h.start("e"); }), Code::kFailedPrecondition);
  EXPECT_EQ(code([&] { h.add(p); }), Code::kAlreadyExists);
  h.remove("e");
  EXPECT_EQ(code([&] { h.remove("e"); }), Code::kNotFound);
  for (auto f : {+[](Harness& x) { x.start("no"); }, +[](Harness& x) { x.wait("no"); },
                 +[](Harness& x) { x.state("no"); }, +[](Harness& x) { x.close_stdin("no"); },
                 +[](Harness& x) { x.resize("no", 1, 1); }}) {
    Error error = error_of([&] { f(h); });
    EXPECT_EQ(error.code(), Code::kNotFound);
    EXPECT_EQ(error.kind(), Kind::kProcess);
  }
  h.end();
}

TEST_P(ExecTest, DeletedBeforeItIsStarted) {
  Harness h(runtime());
  h.run_sleeper();
  Harness::Proc p = h.proc("e", {"/bin/true"}, {"stdin", "stdout"});
  h.add(p);
  h.remove("e");
  EXPECT_EQ(error_of([&] { h.start("e"); }).code(), Code::kNotFound);
  Harness::Proc again = h.proc("e", {"/bin/true"}, {"stdin", "stdout"});
  h.add(again);
  h.start("e");
  EXPECT_EQ(h.wait("e").status, 0U);
  h.end();  // what was not deleted goes with the task
}

TEST_P(ExecTest, BadProcesses) {
  Harness h(runtime());
  h.run_sleeper();
  auto code = [&](const std::string& exec_id, const std::string& json) {
    api::ExecProcessRequest request;
    request.id = h.id;
    request.exec_id = exec_id;
    request.spec = {"", json};
    return error_of([&] { h.call<api::Empty>("Exec", request); }).code();
  };
  std::string good = h.proc("x", {"/bin/true"}).request.spec.value;
  for (const char* id : {"../e", "a/b", ".", "-x", "a..b"})  // D8 71
    EXPECT_EQ(code(id, good), Code::kInvalidArgument) << id;
  for (const char* json : {"", "null", "{", "[]", R"({"cwd":"/","args":[]})",
                           R"({"cwd":"/","args":[""]})", R"({"cwd":"here","args":["/bin/true"]})",
                           R"({"cwd":"/","args":["/bin/true"],"env":["x"]})"})
    EXPECT_EQ(code("e", json), Code::kInvalidArgument) << json;
  EXPECT_EQ(error_of([&] { h.state("e"); }).code(), Code::kNotFound);
  h.end();
}

// B32, D8 72 and 73.
TEST_P(ExecTest, ThatCannotBeStarted) {
  Harness h(runtime());
  h.run_sleeper();
  std::size_t before = resting_fds(h.shim.pid);
  for (int round = 0; round < 5; ++round) {
    Harness::Proc p = h.proc("e", {"/bin/nope"}, {"stdin", "stdout", "stderr"});
    h.add(p);
    Error error = error_of([&] { h.start("e"); });
    EXPECT_EQ(error.code(), Code::kNotFound) << error.message();
    EXPECT_EQ(h.state("e").status, api::Status::kCreated);
    EXPECT_EQ(h.wait("e").status, 255U);
    EXPECT_EQ(read_to_end(p.out.get()), "");
    EXPECT_EQ(error_of([&] { h.start("e"); }).code(), Code::kFailedPrecondition);
    h.remove("e");
  }
  EXPECT_EQ(resting_fds(h.shim.pid), before);
  Harness::Proc p = h.proc("e", {"/proc/version"});
  h.add(p);
  EXPECT_EQ(error_of([&] { h.start("e"); }).code(), Code::kPermissionDenied);
  h.remove("e");
  h.end();
}

TEST_P(ExecTest, LargeRoundTrip) {
  Harness h(runtime());
  h.run_sleeper();
  Harness::Proc p = h.proc("e", {"/bin/cat"}, {"stdin", "stdout"});
  h.add(p);
  h.start("e");
  std::string sent;
  for (int i = 0; sent.size() < (20U << 20); ++i) sent += std::to_string(i) + "\n";
  std::string got;
  std::size_t at = 0;
  std::string buffer(1 << 16, '\0');
  while (got.size() < sent.size()) {
    ssize_t n = at < sent.size() ? ::write(p.in.get(), sent.data() + at, sent.size() - at) : -1;
    if (n > 0) at += static_cast<std::size_t>(n);
    if (at == sent.size() && p.in) {
      p.in.reset();
      h.close_stdin("e");
    }
    wait_ready(p.out.get(), POLLIN, soon(), "reading output");
    n = ::read(p.out.get(), buffer.data(), buffer.size());
    if (n == 0) break;
    if (n > 0) got.append(buffer, 0, static_cast<std::size_t>(n));
  }
  EXPECT_TRUE(got == sent);
  EXPECT_EQ(read_to_end(p.out.get()), "");  // before Delete
  EXPECT_EQ(h.wait("e").status, 0U);
  h.remove("e");
  h.end();
}

TEST_P(ExecTest, StdinOutlivesItsWriter) {
  Harness h(runtime());
  h.run_sleeper();
  Harness::Proc p = h.proc("e", {"/bin/cat"}, {"stdin", "stdout"});
  h.add(p);
  write_all(p.in.get(), "before the start ");
  h.start("e");
  p.in.reset();
  EXPECT_EQ(h.state("e").status, api::Status::kRunning);
  p.in.reset(::open(p.request.stdin_path.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
  write_all(p.in.get(), "again");
  h.close_stdin("e");
  h.close_stdin("e");
  p.in.reset();
  EXPECT_EQ(read_to_end(p.out.get()), "before the start again");
  EXPECT_EQ(h.wait("e").status, 0U);
  h.end();
}

TEST_P(ExecTest, StdinClosedBeforeTheStart) {
  Harness h(runtime());
  h.run_sleeper();
  Harness::Proc p = h.proc("e", {"/bin/cat"}, {"stdin", "stdout"});
  h.add(p);
  write_all(p.in.get(), "hello");
  h.close_stdin("e");
  p.in.reset();
  h.start("e");
  EXPECT_EQ(read_to_end(p.out.get()), "hello");
  EXPECT_EQ(h.wait("e").status, 0U);
  h.end();
}

// B5: all of a burst arrives, however late its reader.
TEST_P(ExecTest, FastExitWithABurst) {
  Harness h(runtime());
  h.run_sleeper();
  Harness::Proc p = h.proc("e", sh("yes | head -c 8388608"), {"stdout"});
  h.add(p);
  h.start("e");
  EXPECT_EQ(read_to_end(p.out.get()).size(), 8388608U);
  h.wait("e");
  EXPECT_FALSE(h.remove("e").output_cut);
  Harness::Proc late = h.proc("e", sh("yes | head -c 100000"), {"stdout"});
  h.add(late);
  h.start("e");
  EXPECT_EQ(h.wait("e").status, 0U);
  EXPECT_EQ(read_to_end(late.out.get()).size(), 100000U);
  h.end();
}

// B6: a daemon holds the output.
TEST_P(ExecTest, AGrandchildHoldsTheOutput) {
  Harness h(runtime());
  h.options.drain_ns = 100'000'000;
  h.run_sleeper();
  Harness::Proc p = h.proc("e", sh("sleep 1000 & echo ok"), {"stdout"});
  h.add(p);
  h.start("e");
  EXPECT_EQ(h.wait("e").status, 0U);
  api::ExitInfo exit = h.remove("e");
  EXPECT_TRUE(exit.output_cut);
  EXPECT_EQ(read_to_end(p.out.get()), "ok\n");
  h.end();
}

TEST_P(ExecTest, PidsNameThem) {
  Harness h(runtime());
  h.run_sleeper();
  Harness::Proc p = h.proc("e.1", {"/bin/sleep", "1000"});
  h.add(p);
  uint32_t pid = h.start("e.1");
  int named = 0;
  for (const auto& process : h.call<api::PidsResponse>("Pids", api::PidsRequest{h.id}).processes) {
    if (process.pid != pid) continue;
    EXPECT_EQ(process.info.type_url, api::kProcessDetailsType);
    EXPECT_EQ(api::decode<api::ProcessDetails>(process.info.value).exec_id, "e.1");
    ++named;
  }
  EXPECT_EQ(named, 1);
  EXPECT_EQ(read_file_at(h.bundle_dir.get(), "exec/e.1/pid"), std::to_string(pid));
  h.end();
}

// B2: each delivers its exit, with init's the last.
TEST_P(ExecTest, EndWithTheirTask) {
  Harness h(runtime());
  h.run_sleeper();
  for (const char* id : {"a", "b", "c"}) {
    Harness::Proc p = h.proc(id, {"/bin/sleep", "1000"});
    h.add(p);
    h.start(id);
  }
  h.kill(SIGKILL);
  EXPECT_EQ(h.wait().exit_status, 137U);
  for (const char* id : {"a", "b", "c"}) EXPECT_EQ(h.wait(id).status, 137U);
  Harness::Proc late = h.proc("late", {"/bin/true"});
  EXPECT_EQ(error_of([&] { h.add(late); }).code(), Code::kFailedPrecondition);  // D8 69
  h.remove_and_leave();
}

TEST_P(ExecTest, LimitKillsAllThatItForked) {
  Harness h(runtime());
  h.run_sleeper();
  Harness::Proc p = h.proc("e", sh("(sleep 1000 &); echo on; sleep 1000"), {"stdout"});
  h.add(p);
  h.limit("e", std::chrono::milliseconds(300));
  h.start("e");
  api::ExitInfo exit = h.wait("e");
  EXPECT_TRUE(exit.timed_out);
  EXPECT_EQ(exit.status, 137U);
  EXPECT_EQ(read_to_end(p.out.get()), "on\n");
  EXPECT_FALSE(h.remove("e").output_cut);
  EXPECT_EQ(h.call<api::PidsResponse>("Pids", api::PidsRequest{h.id}).processes.size(), 1U);
  EXPECT_EQ(h.state().status, api::Status::kRunning);
  h.end();
}

// What one has left behind is not the next one's, and its cgroup goes when it is empty.
TEST_P(ExecTest, LimitOfOneWhoseIdHadAnother) {
  Harness h(runtime());
  h.run_sleeper();
  auto run_limited = [&](const std::string& script, Nanos limit) {
    Harness::Proc p = h.proc("e", sh(script));
    h.add(p);
    h.limit("e", limit);
    h.start("e");
    h.wait("e");
    return h.remove("e");
  };
  EXPECT_EQ(run_limited("(sleep 1000 &)", kLong).status, 0U);
  EXPECT_TRUE(run_limited("sleep 1000", std::chrono::milliseconds(100)).timed_out);
  auto left = h.call<api::PidsResponse>("Pids", api::PidsRequest{h.id}).processes;
  ASSERT_EQ(left.size(), 2U);
  for (const auto& process : left)
    if (process.pid != h.state().pid) ::kill(static_cast<pid_t>(process.pid), SIGKILL);
  EXPECT_TRUE(eventually([&] { return h.count_pids() == 1; }));
  EXPECT_TRUE(eventually([&] {  // the kernel lets go of it a moment later
    run(h, "other", {"/bin/true"});
    std::size_t below = 0;
    for (const UniqueFd& dir : open_cgroup(h.cgroup))
      walk_cgroup(dir.get(), [&](int at) { below += at != dir.get() ? 1 : 0; });
    return below == 0;
  }));
  h.end();
}

TEST_P(ExecTest, KillOfAllTakesWhatItForked) {
  Harness h(runtime());
  h.run_sleeper();
  Harness::Proc p = h.proc("e", sh("(sleep 1000 &); echo on; sleep 1000"), {"stdout"});
  h.add(p);
  h.limit("e", kLong);
  h.start("e");
  wait_ready(p.out.get(), POLLIN, soon(), "reading output");
  h.kill_exec("e", SIGKILL, true);
  api::ExitInfo exit = h.wait("e");
  EXPECT_EQ(exit.status, 137U);
  EXPECT_FALSE(exit.timed_out);
  EXPECT_EQ(h.count_pids(), 1U);
  h.end();
}

TEST_P(ExecTest, LimitThatIsNotReached) {
  Harness h(runtime());
  h.run_sleeper();
  Harness::Proc p = h.proc("e", sh("(sleep 1000 &); cat /proc/self/cgroup"), {});
  h.add(p);
  EXPECT_EQ(error_of([&] { h.limit("e", Nanos(-1)); }).code(), Code::kInvalidArgument);
  h.limit("e", kLong);
  h.start("e");
  api::ExitInfo exit = h.wait("e");
  EXPECT_FALSE(exit.timed_out);
  EXPECT_EQ(exit.status, 0U);
  h.remove("e");
  EXPECT_EQ(h.call<api::PidsResponse>("Pids", api::PidsRequest{h.id}).processes.size(), 2U);
  h.end();
}

}  // namespace
}  // namespace ctrd::shim
