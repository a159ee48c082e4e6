// SPDX-License-Identifier: Apache-2.0
// Runtimes that misbehave: scripts in front of the real one. Each gives a typed error, leaves
// nothing, and the same call with the real one works.
#include <sys/stat.h>
#include <unistd.h>

#include "base/files.h"
#include "engine/fixture.h"

namespace ctrd::engine {
namespace {

class FakeRuntime : public EngineTest {
 protected:
  // on_create stands in front of the real runtime's create.
  CreateOptions with(const std::string& on_create, const std::string& script) {
    std::string text = "#!/bin/sh\ncase \" $* \" in\n*' create '*)\n" + on_create +
                       "\n;;\nesac\nexec " + find_program("runc").value() + " \"$@\"\n";
    create_file_at(open_dir(top_).get(), "runtime", text, 0755);
    CreateOptions options = shell(script);
    options.runtime = top_ + "/runtime";
    return options;
  }
  void expect_works() { EXPECT_EQ(run(shell("echo fine")).out, "fine\n"); }
};

TEST_F(FakeRuntime, MuchOutputWhileItCreatesDoesNotBlockIt) {
  RunResult result =
      run(with("head -c 10485760 /dev/zero; head -c 10485760 /dev/zero >&2", "echo ran; exit 5"));
  EXPECT_EQ(result.exit.status, 5);
  EXPECT_EQ(result.out.size(), (10u << 20) + 4);
  EXPECT_EQ(result.err.size(), 10u << 20);
}

TEST_F(FakeRuntime, NoPidFileIsItsFailure) {
  Error error(Code::kOk, "");
  EXPECT_EQ(code_of([&] { run(with("exit 0", "true")); }, &error), Code::kInternal);
  EXPECT_EQ(error.kind(), Kind::kRuntime);
  expect_works();
}

TEST_F(FakeRuntime, ItsFailureIsSaidInItsWords) {
  Error error(Code::kOk, "");
  CreateOptions options = with("exit 3", "true");
  EXPECT_EQ(code_of([&] { run(options); }, &error), Code::kInternal);
  EXPECT_EQ(error.kind(), Kind::kRuntime);
  EXPECT_EQ(error.find("exit_code"), "3");
  EXPECT_FALSE(engine().contains(kNs, options.id.empty() ? "x" : options.id, soon()));
  expect_works();
}

TEST_F(FakeRuntime, OneThatHangsEndsAtTheDeadline) {
  Config quick = config();
  quick.rpc_timeout = std::chrono::milliseconds(500);
  auto hasty = Engine::open(quick);
  CreateOptions options = with("sleep 1000", "true");
  EXPECT_EQ(code_of([&] { hasty->run(kNs, options, {}, within_ms(1000), nullptr); }),
            Code::kDeadlineExceeded);
  options.id = "c";
  hasty->create(kNs, options, soon());
  EXPECT_EQ(code_of([&] { hasty->create_task(kNs, "c", {}, false, soon()); }),
            Code::kDeadlineExceeded);
  EXPECT_EQ(hasty->status(kNs, "c", soon()), TaskStatus::kNone);
  hasty->close(soon());
  expect_works();
}

// Its client has given up, and the process is made all the same: it must not run on.
TEST_F(FakeRuntime, AnInterruptedStartOfAnExecLeavesNothing) {
  create_file_at(open_dir(top_).get(), "runtime",
                 "#!/bin/sh\ncase \" $* \" in *' exec '*) sleep 1;; esac\nexec " +
                     find_program("crun").value() + " \"$@\"\n",
                 0755);
  CreateOptions options = this->options({"/bin/sleep", "1000"});
  options.runtime = top_ + "/runtime";
  options.id = "c";
  engine().create(kNs, options, soon());
  engine().create_task(kNs, "c", {}, false, soon());
  engine().start_task(task("c"), soon());
  ExecOptions exec;
  exec.process.args = {"/bin/sleep", "1000"};
  exec.id = "e";
  Stdio none{Std::kDevnull, Std::kDevnull, Std::kDevnull};
  EXPECT_EQ(code_of([&] { engine().exec_process(task("c"), exec, none, within_ms(300)); }),
            Code::kDeadlineExceeded);
  EXPECT_EQ(code_of([&] { engine().find_process({task("c"), "e"}, soon()); }), Code::kNotFound);
  EXPECT_EQ(engine().task_processes(task("c"), soon()).size(), 1u);
}

TEST_F(FakeRuntime, AProgramThatCannotBeExecutedIsDenied) {
  CreateOptions options = shell("true");
  create_file_at(open_dir(top_).get(), "plain", "x", 0644);
  options.runtime = top_ + "/plain";
  EXPECT_NE(code_of([&] { run(options); }), Code::kOk);
  expect_works();
}

TEST_F(FakeRuntime, ARuntimeThatGoesAwayIsNamed) {
  CreateOptions options = with("", "true");
  options.id = "c";
  engine().create(kNs, options, soon());
  ASSERT_EQ(::unlink(options.runtime.c_str()), 0);
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "its vfork is a fork, and the errno of the exec gets lost";
#endif
  Error error(Code::kOk, "");
  EXPECT_EQ(code_of([&] { engine().create_task(kNs, "c", {}, false, soon()); }, &error),
            Code::kNotFound);
  EXPECT_NE(error.message().find(options.runtime), std::string::npos) << error.message();
}

class Readers : public EngineTest {};

TEST_F(Readers, OneThatIsGoneHarmsNobody) {
  std::string id = create({"/bin/sh", "-c", "head -c 1000000 /dev/zero; exit 5"});
  NewTask made =
      engine().create_task(kNs, id, {Std::kDevnull, Std::kPipe, Std::kDevnull}, false, soon());
  made.out.reset();
  engine().start_task(task(id), soon());
  EXPECT_EQ(engine().wait_task(task(id), soon()).status, 5);
}

// B8: kill and delete wait for no peer of a FIFO.
TEST_F(Readers, OneThatNeverReadsHoldsUpNothingElse) {
  std::string id = create({"/bin/sh", "-c", "head -c 1000000 /dev/zero"});
  NewTask made =
      engine().create_task(kNs, id, {Std::kDevnull, Std::kPipe, Std::kDevnull}, false, soon());
  engine().start_task(task(id), soon());
  EXPECT_EQ(engine().status(kNs, id, soon()), TaskStatus::kRunning);
  EXPECT_EQ(code_of([&] { engine().wait_task(task(id), within_ms(50)); }), Code::kDeadlineExceeded);
  engine().kill_task(task(id), 9, std::nullopt, true, soon());
  ExitStatus exit = engine().wait_task(task(id), soon());
  EXPECT_EQ(exit.status, 137);
  EXPECT_FALSE(exit.output_cut);
  exit = engine().delete_task(task(id), false, soon());
  EXPECT_TRUE(exit.output_cut);  // what the reader did not take in time
}

}  // namespace
}  // namespace ctrd::engine
