// SPDX-License-Identifier: Apache-2.0
// Execs side by side, and against the end of their task. reliability.md B2, B3, B34, A3 (stress).
#include <csignal>
#include <filesystem>
#include <thread>

#include "api/event.h"
#include "base/error.h"
#include "base/files.h"
#include "base/process.h"
#include "journal/reader.h"
#include "shim/harness.h"
#include "ttrpc/client.h"

namespace ctrd::shim {
namespace {

class ExecRace : public Runtimes {};
CTRD_EACH_RUNTIME(ExecRace);

// "topic id" of each event, in order.
std::vector<std::string> events(const Harness& h) {
  std::vector<std::string> found;
  journal::Reader reader(open_dir(h.options.journal_dir), 0);
  while (auto record = reader.next()) {
    auto event = api::decode<api::Event>(record->body);
    std::string id;
    if (event.topic == "/tasks/exit") id = api::decode<api::TaskExit>(event.event.value).id;
    if (event.topic == "/tasks/exec-started")
      id = api::decode<api::TaskExecStarted>(event.event.value).exec_id;
    if (event.topic == "/tasks/exec-added")
      id = api::decode<api::TaskExecAdded>(event.event.value).exec_id;
    found.push_back(event.topic + " " + id);
  }
  return found;
}

std::ptrdiff_t place(const std::vector<std::string>& all, const std::string& one) {
  EXPECT_EQ(std::ranges::count(all, one), 1) << one;
  return std::ranges::find(all, one) - all.begin();
}

// A runtime that does what the real one does, and with `exec` waits for the file `go`, before it
// calls the real one or after.
std::string held_runtime(const Harness& h, const std::string& real, bool before) {
  std::string path = h.dir + "/runtime";
  std::string hold = "if [ $exec ]; then : >" + h.dir + "/held.$$; until [ -e " + h.dir +
                     "/go ]; do sleep 0.01; done; fi\n";
  std::string text =
      "#!/bin/busybox sh\nexec=\nfor arg in \"$@\"; do [ \"$arg\" = exec ] && exec=1; done\n" +
      (before ? hold : "") + real + " \"$@\"; status=$?\n" + (before ? "" : hold) +
      "exit $status\n";
  replace_file_at(open_dir(h.dir).get(), "runtime", text, 0755, false);
  return path;
}

std::size_t held(const Harness& h) {
  std::size_t count = 0;
  for (const std::string& name : list_dir(open_dir(h.dir).get()))
    count += name.starts_with("held.") ? 1 : 0;
  return count;
}

// Execs a, b ... that are being started.
struct Held {
  explicit Held(const std::string& real, bool before, std::size_t count = 2)
      : h(real), codes(count, Code::kUnknown) {
    h.options.binary_name = held_runtime(h, real, before);
    h.options.journal_dir = h.dir + "/journal";
    std::filesystem::create_directory(h.options.journal_dir);
    h.run_sleeper();
    for (std::size_t i = 0; i < count; ++i) {
      Harness::Proc p = h.proc(name(i), {"/bin/sleep", "1000"});
      h.add(p);
      starts.emplace_back([this, i] { codes[i] = error_of([&] { h.start(name(i)); }).code(); });
    }
    EXPECT_TRUE(eventually([&] { return held(h) == count; }));
  }
  static std::string name(std::size_t i) { return {static_cast<char>('a' + i)}; }
  void go() {
    replace_file_at(open_dir(h.dir).get(), "go", "", 0600, false);
    for (auto& start : starts) start.join();
  }
  Harness h;
  std::vector<Code> codes;
  std::vector<std::thread> starts;
};

// TestIssue10589: init dies while two have been made, but their runtimes have not returned yet.
TEST_P(ExecRace, InitDiesWhileTwoAreStarting) {
  Held held(runtime(), false);
  Harness& h = held.h;
  h.kill(SIGKILL);
  EXPECT_EQ(h.state().status, api::Status::kRunning);  // it waits for them
  held.go();
  EXPECT_EQ(h.wait().exit_status, 137U);
  std::vector<std::string> all = events(h);
  for (std::string id : {"a", "b"}) {
    EXPECT_EQ(held.codes[id[0] - 'a'], Code::kOk);
    EXPECT_EQ(h.wait(id).status, 137U);
    EXPECT_LT(place(all, "/tasks/exec-added " + id), place(all, "/tasks/exec-started " + id));
    EXPECT_LT(place(all, "/tasks/exec-started " + id), place(all, "/tasks/exit " + id));
    EXPECT_LT(place(all, "/tasks/exit " + id), place(all, "/tasks/exit " + h.id));
  }
  h.remove_and_leave();
}

TEST_P(ExecRace, InitDiesBeforeTwoAreMade) {
  Held held(runtime(), true);
  Harness& h = held.h;
  h.kill(SIGKILL);
  held.go();
  EXPECT_EQ(h.wait().exit_status, 137U);
  for (std::string id : {"a", "b"}) {
    EXPECT_EQ(held.codes[id[0] - 'a'], Code::kFailedPrecondition);
    EXPECT_EQ(std::ranges::count(events(h), "/tasks/exit " + id), 0);
  }
  h.remove_and_leave();
}

// A runtime that hangs keeps nobody from learning that init has ended.
TEST(ExecHang, InitDiesAndARuntimeHangs) {
  Held held(find_program("crun").value(), true);
  Harness& h = held.h;
  h.kill(SIGKILL);
  EXPECT_EQ(h.wait().exit_status, 137U);
  for (auto& start : held.starts) start.join();
  for (Code code : held.codes) EXPECT_EQ(code, Code::kFailedPrecondition);
  h.remove_and_leave();
}

// B28: while some are held, everything else answers.
TEST_P(ExecRace, StartsDoNotHoldOthersUp) {
  Held held(runtime(), true);
  Harness& h = held.h;
  EXPECT_EQ(h.state().status, api::Status::kRunning);
  h.call<api::PidsResponse>("Pids", api::PidsRequest{h.id});
  Error error = error_of([&] { h.remove("a"); });
  EXPECT_EQ(error.code(), Code::kFailedPrecondition);
  held.go();
  for (std::string id : {"a", "b"}) {
    EXPECT_EQ(held.codes[id[0] - 'a'], Code::kOk);
    h.kill_exec(id, SIGKILL);
    EXPECT_EQ(h.wait(id).status, 137U);
    h.remove(id);
  }
  h.end();
}

// B9: who finds all places taken by runtimes that hang waits no longer than its call may take.
TEST_P(ExecRace, ANinthBehindEightThatHang) {
  Held held(runtime(), true, 8);
  Harness& h = held.h;
  Harness::Proc p = h.proc("ninth", {"/bin/true"}, {"stdout"});
  h.add(p);
  ttrpc::Request request = to_task("Start", api::encode(api::StartRequest{h.id, "ninth"}));
  request.timeout_ns = 100'000'000;
  Error error = error_of([&] {
    UniqueFd socket = ttrpc::connect_at(h.bundle_dir.get(), api::kSocketFile, soon());
    ttrpc::Call(std::move(socket), request, soon()).finish(soon());
  });
  EXPECT_EQ(error.code(), Code::kDeadlineExceeded) << error.message();
  EXPECT_EQ(read_to_end(p.out.get()), "");
  auto removed = [&] { return error_of([&] { h.remove("ninth"); }).code() == Code::kOk; };
  EXPECT_TRUE(eventually(removed));  // while they still hang
  held.go();
  for (std::size_t i = 0; i < 8; ++i) EXPECT_EQ(held.codes[i], Code::kOk);
  h.add(h.proc("ninth", {"/bin/true"}));
  h.start("ninth");
  EXPECT_EQ(h.wait("ninth").status, 0U);
  h.end();
}

// Who gave up waiting for its start must be able to end it.
TEST_P(ExecRace, KilledWhileTheyAreStarting) {
  for (bool before : {true, false}) {
    Held held(runtime(), before);
    Harness& h = held.h;
    EXPECT_EQ(error_of([&] { h.kill_exec("a", SIGTERM); }).code(), Code::kFailedPrecondition);
    EXPECT_EQ(error_of([&] { h.kill_exec("a", SIGKILL); }).code(), Code::kOk);
    std::thread waiting([&] { EXPECT_EQ(h.wait("a").status, 137U); });
    held.go();
    waiting.join();
    EXPECT_EQ(held.codes[0], Code::kOk);
    EXPECT_FALSE(h.remove("a").oom_killed);
    EXPECT_EQ(h.count_pids(), 2U);
    h.end();
  }
}

// Nothing runs yet: it waits for somebody to read its output.
TEST_P(ExecRace, KilledBeforeItsRuntimeRuns) {
  Harness h(runtime());
  h.run_sleeper();
  Harness::Proc p = h.proc("e", {"/bin/sleep", "1000"}, {"stdout"});
  p.out.reset();
  h.add(p);
  Error error(Code::kOk, "");
  std::thread starting([&] { error = error_of([&] { h.start("e"); }); });
  EXPECT_TRUE(
      eventually([&] { return error_of([&] { h.kill_exec("e", SIGKILL); }).code() == Code::kOk; }));
  EXPECT_EQ(h.wait("e").status, 255U);
  h.remove("e");
  starting.join();
  EXPECT_EQ(error.code(), Code::kAborted) << error.message();
  EXPECT_EQ(h.count_pids(), 1U);
  h.end();
}

TEST_P(ExecRace, PauseWaitsForThem) {
  Held held(runtime(), true);
  Harness& h = held.h;
  std::thread pausing([&] { h.call<api::Empty>("Pause", api::PauseRequest{h.id}); });
  EXPECT_TRUE(eventually([&] { return h.state().status == api::Status::kPausing; }));
  Harness::Proc p = h.proc("late", {"/bin/true"});
  EXPECT_EQ(error_of([&] { h.add(p); }).code(), Code::kFailedPrecondition);
  held.go();
  pausing.join();
  EXPECT_EQ(h.state("a").status, api::Status::kPaused);
  h.end();
}

// Every exit is the right one, and the shim is what it was.
TEST_P(ExecRace, EightAtATime) {
  Harness h(runtime());
  h.run_sleeper();
  constexpr int kThreads = 8, kRounds = 12;
  auto work = [&](int worker) {
    for (int round = 0; round < kRounds; ++round) {
      std::string id = "w" + std::to_string(worker);
      uint32_t status = static_cast<uint32_t>(worker * kRounds + round);
      Harness::Proc p = h.proc(id, {"/bin/sh", "-c", "echo $0; exit $0", std::to_string(status)},
                               {"stdin", "stdout"});
      h.add(p);
      h.start(id);
      EXPECT_EQ(read_to_end(p.out.get()), std::to_string(status) + "\n");
      EXPECT_EQ(h.wait(id).status, status);
      EXPECT_FALSE(h.remove(id).output_cut);
    }
  };
  work(0);
  std::size_t before = resting_fds(h.shim.pid);
  std::vector<std::thread> workers;
  for (int i = 0; i < kThreads; ++i) workers.emplace_back(work, i);
  for (auto& worker : workers) worker.join();
  EXPECT_EQ(resting_fds(h.shim.pid), before);
  h.end();
}

// B34: what daemons leave behind is reaped, and nobody is held up by it.
TEST_P(ExecRace, OrphansAreReaped) {
  Harness h(runtime());
  oci::Json host_pids = {{"linux", {{"namespaces", oci::Json::array({{{"type", "mount"}}})}}}};
  h.run_sleeper(host_pids);
  Harness::Proc p = h.proc(
      "e", {"/bin/sh", "-c", "i=0; while [ $i -lt 200 ]; do (setsid true &); i=$((i+1)); done"});
  h.add(p);
  h.start("e");
  EXPECT_EQ(h.wait("e").status, 0U);
  h.remove("e");
  std::string children =
      "/proc/" + std::to_string(h.shim.pid) + "/task/" + std::to_string(h.shim.pid) + "/children";
  EXPECT_TRUE(eventually([&] {
    std::string pids = find_file_at(open_dir("/").get(), children.substr(1)).value_or("");
    return std::ranges::count(pids, ' ') <= 1;  // init
  }));
  h.end();
}

// S11: in a shared pid namespace what is left is killed, and init's exit is the last to be told.
TEST_P(ExecRace, SharedPidsEndInOrder) {
  Harness h(runtime());
  h.options.journal_dir = h.dir + "/journal";
  std::filesystem::create_directory(h.options.journal_dir);
  oci::Json host_pids = {{"linux", {{"namespaces", oci::Json::array({{{"type", "mount"}}})}}}};
  h.run_sleeper(host_pids);
  for (const char* id : {"a", "b"}) {
    Harness::Proc p = h.proc(id, {"/bin/sleep", "1000"});
    h.add(p);
    h.start(id);
  }
  h.kill(SIGKILL);
  EXPECT_EQ(h.wait().exit_status, 137U);
  std::vector<std::string> all = events(h);
  EXPECT_EQ(all.back(), "/tasks/exit " + h.id);
  for (std::string id : {"a", "b"}) place(all, "/tasks/exit " + id);
  h.remove_and_leave();
}

}  // namespace
}  // namespace ctrd::shim
