// SPDX-License-Identifier: Apache-2.0
// Freezing, new limits and want of memory, under the real shim with the real runtimes.
#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "api/event.h"
#include "base/cgroup.h"
#include "base/error.h"
#include "base/files.h"
#include "journal/reader.h"
#include "shim/harness.h"

namespace ctrd::shim {
namespace {

class Pause : public Runtimes {};
CTRD_EACH_RUNTIME(Pause);

using oci::Json;

// With events: a journal in the harness's own directory.
void with_journal(Harness& h) {
  h.options.journal_dir = h.dir + "/journal";
  std::filesystem::create_directory(h.options.journal_dir);
}

std::vector<std::string> topics(const Harness& h) {
  std::vector<std::string> found;
  journal::Reader reader(open_dir(h.options.journal_dir), 0);
  while (auto record = reader.next()) found.push_back(api::decode<api::Event>(record->body).topic);
  return found;
}

void pause(Harness& h) { h.call<api::Empty>("Pause", api::PauseRequest{h.id}); }
void resume(Harness& h) { h.call<api::Empty>("Resume", api::ResumeRequest{h.id}); }
template <typename F>
Code code(F&& f) {
  return error_of(f).code();
}

TEST_P(Pause, FreezesAndThaws) {
  Harness h(runtime());
  with_journal(h);
  h.configure({"/bin/sleep", "1000"});
  h.spawn();
  h.create();
  EXPECT_EQ(code([&] { pause(h); }), Code::kFailedPrecondition);
  EXPECT_EQ(code([&] { resume(h); }), Code::kFailedPrecondition);
  h.start();
  Harness::Proc p = h.proc("e", {"/bin/sleep", "1000"});
  h.add(p);
  h.start("e");
  EXPECT_EQ(code([&] { resume(h); }), Code::kFailedPrecondition);  // D8 82
  pause(h);
  EXPECT_TRUE(cgroup_frozen(h.cgroup));
  EXPECT_EQ(h.state().status, api::Status::kPaused);
  EXPECT_EQ(h.state("e").status, api::Status::kPaused);
  EXPECT_EQ(h.status_file().status, api::Status::kPaused);
  EXPECT_EQ(code([&] { pause(h); }), Code::kFailedPrecondition);  // D8 81
  EXPECT_EQ(code([&] { h.start(); }), Code::kFailedPrecondition);
  EXPECT_EQ(code([&] { h.remove(); }), Code::kFailedPrecondition);
  Harness::Proc late = h.proc("late", {"/bin/true"});
  EXPECT_EQ(code([&] { h.add(late); }), Code::kFailedPrecondition);
  resume(h);
  EXPECT_FALSE(cgroup_frozen(h.cgroup));
  EXPECT_EQ(h.state().status, api::Status::kRunning);
  EXPECT_EQ(h.status_file().status, api::Status::kRunning);
  h.end();
  std::vector<std::string> expected = {"/tasks/create",       "/tasks/start",  "/tasks/exec-added",
                                       "/tasks/exec-started", "/tasks/paused", "/tasks/resumed",
                                       "/tasks/exit",         "/tasks/exit",   "/tasks/delete"};
  EXPECT_EQ(topics(h), expected);
}

TEST_P(Pause, KillEndsAPausedOne) {
  for (bool all : {false, true}) {
    Harness h(runtime());
    h.run_sleeper();
    pause(h);
    h.kill(SIGKILL, all);
    EXPECT_EQ(h.wait().exit_status, 137U);
    EXPECT_EQ(h.state().status, api::Status::kStopped);
    EXPECT_EQ(code([&] { resume(h); }), Code::kFailedPrecondition);
    EXPECT_EQ(code([&] { pause(h); }), Code::kFailedPrecondition);
    h.remove_and_leave();
  }
}

TEST_P(Pause, OtherSignalsWait) {
  Harness h(runtime());
  UniqueFd out = h.fifo("stdout");
  h.configure(
      {"/bin/sh", "-c", "trap 'echo heard; exit 5' TERM; echo on; while :; do sleep 0.02; done"});
  h.spawn();
  h.create();
  h.start();
  EXPECT_TRUE(eventually([&] {
    std::string on(3, '\0');
    return ::read(out.get(), on.data(), on.size()) == 3;
  }));
  pause(h);
  h.kill(SIGTERM);
  EXPECT_EQ(h.state().status, api::Status::kPaused);
  resume(h);
  EXPECT_EQ(h.wait().exit_status, 5U);
  EXPECT_EQ(read_to_end(out.get()), "heard\n");
  h.remove_and_leave();
}

TEST_P(Pause, ThawedByAnother) {
  Harness h(runtime());
  h.run_sleeper();
  pause(h);
  thaw_cgroup(h.cgroup);
  resume(h);
  EXPECT_EQ(h.state().status, api::Status::kRunning);
  h.end();
}

// The shim cannot look at the cgroup: then what the runtime says counts.
TEST_P(Pause, ResumedAndNobodyCanSee) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "UBSan ends a shim that has no descriptor left to look at a class with";
#endif
  Harness h(runtime());
  std::string path = h.dir + "/runtime";
  std::string text = "#!/bin/sh\n" + h.runtime +
                     " \"$@\" || exit\ncase \" $* \" in *\" resume \"*) prlimit --pid $PPID "
                     "--nofile=3:;; esac\n";
  replace_file_at(open_dir(h.dir).get(), "runtime", text, 0755, false);
  h.options.binary_name = path;
  h.run_sleeper();
  pause(h);
  rlimit before{};
  ::prlimit(h.shim.pid, RLIMIT_NOFILE, nullptr, &before);
  EXPECT_EQ(code([&] { resume(h); }), Code::kOk);
  rlimit low{};
  ::prlimit(h.shim.pid, RLIMIT_NOFILE, &before, &low);
  EXPECT_EQ(low.rlim_cur, 3U);
  EXPECT_FALSE(cgroup_frozen(h.cgroup));
  EXPECT_EQ(h.state().status, api::Status::kRunning);
  h.end();
}

TEST_P(Pause, EndsWithItsShim) {
  Harness h(runtime());
  h.run_sleeper();
  pause(h);
  ::kill(h.shim.pid, SIGTERM);
  EXPECT_EQ(h.exit_status(), 0);
  EXPECT_EQ(h.exit_file().status, 137U);
}

TEST_P(Pause, LimitOfAnExecInAPausedTask) {
  Harness h(runtime());
  h.run_sleeper();
  Harness::Proc p = h.proc("e", {"/bin/sleep", "1000"});
  h.add(p);
  h.limit("e", std::chrono::milliseconds(200));
  h.start("e");
  pause(h);
  poll_until({}, soon().within(std::chrono::milliseconds(300)));
  EXPECT_EQ(h.state().status, api::Status::kPaused);
  resume(h);
  EXPECT_TRUE(h.wait("e").timed_out);
  h.remove("e");
  h.end();
}

void update(Harness& h, const std::string& resources) {
  api::UpdateTaskRequest request;
  request.id = h.id;
  request.resources.value = resources;
  h.call<api::Empty>("Update", request);
}

TEST_P(Pause, UpdateChangesTheLimits) {
  Harness h(runtime());
  h.configure({"/bin/sleep", "1000"});
  h.spawn();
  h.create();
  update(h, R"({"pids":{"limit":77}})");
  h.start();
  update(h, R"({"pids":{"limit":78}})");
  std::string seen;
  for (const std::string& dir : cgroup_dirs(h.cgroup))
    seen += find_file_at(open_dir(dir).get(), "pids.max").value_or("");
  EXPECT_EQ(seen, "78\n");
  for (const char* bad : {"", "null", "[]", "{"})
    EXPECT_EQ(code([&] { update(h, bad); }), Code::kInvalidArgument) << bad;
  pause(h);
  update(h, R"({"pids":{"limit":79}})");
  EXPECT_EQ(h.state().status, api::Status::kPaused);
  h.kill(SIGKILL);
  h.wait();
  EXPECT_EQ(code([&] { update(h, "{}"); }), Code::kFailedPrecondition);
  h.remove_and_leave();
}

Json memory_limit(int64_t bytes) {
  return {{"linux", {{"resources", {{"memory", {{"limit", bytes}, {"swap", bytes}}}}}}}};
}

const char* const kEater = "x=a; while :; do x=$x$x; done";

TEST_P(Pause, WantOfMemoryKillsInit) {
  Harness h(runtime());
  with_journal(h);
  h.configure({"/bin/sh", "-c", kEater}, memory_limit(32 << 20));
  h.spawn();
  h.create();
  h.start();
  api::ExitInfo exit = h.wait("");
  EXPECT_EQ(exit.status, 137U);
  EXPECT_TRUE(exit.oom_killed);
  EXPECT_TRUE(h.exit_file().oom_killed);
  h.remove_and_leave();
  std::vector<std::string> expected = {"/tasks/create", "/tasks/start", "/tasks/oom", "/tasks/exit",
                                       "/tasks/delete"};
  EXPECT_EQ(topics(h), expected);
}

// What init makes of it counts: it goes on and ends well, or not.
TEST_P(Pause, WantOfMemoryKillsAChildOfInit) {
  for (uint32_t status : {0U, 137U}) {
    Harness h(runtime());
    std::string script = "(" + std::string(kEater) + "); exit " + std::to_string(status);
    h.configure({"/bin/sh", "-c", script}, memory_limit(32 << 20));
    h.spawn();
    h.create();
    h.start();
    api::ExitInfo exit = h.wait("");
    EXPECT_EQ(exit.status, status);
    EXPECT_EQ(exit.oom_killed, status != 0);
    h.remove_and_leave();
  }
}

TEST_P(Pause, WantOfMemoryKillsAnExec) {
  for (bool limited : {false, true}) {
    Harness h(runtime());
    with_journal(h);
    h.run_sleeper(memory_limit(32 << 20));
    Harness::Proc fine = h.proc("fine", {"/bin/true"});
    h.add(fine);
    h.start("fine");
    EXPECT_FALSE(h.wait("fine").oom_killed);
    Harness::Proc p = h.proc("e", {"/bin/sh", "-c", kEater});
    h.add(p);
    if (limited) h.limit("e", kLong);
    h.start("e");
    api::ExitInfo exit = h.wait("e");
    EXPECT_EQ(exit.status, 137U);
    EXPECT_TRUE(exit.oom_killed);
    EXPECT_FALSE(exit.timed_out);
    EXPECT_EQ(h.state().status, api::Status::kRunning);
    EXPECT_TRUE(eventually([&] { return std::ranges::count(topics(h), "/tasks/oom") == 1; }));
    h.kill(SIGKILL);
    EXPECT_FALSE(h.wait("").oom_killed);  // init did not end for that
    h.remove_and_leave();
  }
}

}  // namespace
}  // namespace ctrd::shim
