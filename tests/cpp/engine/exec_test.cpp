// SPDX-License-Identifier: Apache-2.0
// One more process in a task: by exec_process and by run_process, with each runtime.
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "base/files.h"
#include "engine/fixture.h"

namespace ctrd::engine {
namespace {

class ExecTest : public RuntimeTest {
 protected:
  void SetUp() override {
    RuntimeTest::SetUp();
    id_ = start({"/bin/sleep", "1000"});
  }
  ExecOptions exec_options(const std::vector<std::string>& args) const {
    ExecOptions options;
    options.process.args = args;
    return options;
  }
  ExecOptions exec_shell(const std::string& script) const {
    return exec_options({"/bin/sh", "-c", script});
  }
  RunResult run_in(const ExecOptions& options, const RunOptions& run = {}) {
    RunResult partial;
    return engine().run_process(task(id_), options, run, soon(), &partial);
  }
  ProcessRef process(const NewProcess& made) const { return {task(id_), made.id, 0}; }
  std::size_t leftovers() const {
    std::size_t count = 0;
    UniqueFd dir = open_dir(bundle(id_));
    for (const char* name : {"io", "exec"})
      if (auto found = find_dir_at(dir.get(), name)) count += list_dir(found->get()).size();
    return count;
  }

  std::string id_;
};
CTRD_EACH_RUNTIME(ExecTest);

TEST_P(ExecTest, RunsToItsEnd) {
  RunOptions run;
  run.has_input = true;
  run.input = "in";
  RunResult result = run_in(exec_shell("cat; echo err >&2; exit 3"), run);
  EXPECT_EQ(result.out, "in");
  EXPECT_EQ(result.err, "err\n");
  EXPECT_EQ(result.exit.status, 3);
  EXPECT_EQ(result.container_id, id_);
  EXPECT_EQ(leftovers(), 0u);
}

TEST_P(ExecTest, AtItsTimeoutItsWholeTreeIsKilled) {
  RunOptions run;
  run.timeout_ns = 1'000'000'000;
  RunResult partial;
  Error error(Code::kOk, "");
  ExecOptions options = exec_shell("echo begun; (setsid sleep 1234 &); sleep 1234");
  auto attempt = [&] { engine().run_process(task(id_), options, run, soon(), &partial); };
  EXPECT_EQ(code_of(attempt, &error), Code::kDeadlineExceeded);
  EXPECT_EQ(error.find("timed_out"), "true");
  EXPECT_EQ(partial.out, "begun\n");
  EXPECT_EQ(engine().task_processes(task(id_), soon()).size(), 1u);
}

TEST_P(ExecTest, AnInterruptedRunLeavesNothing) {
  RunResult partial;
  ExecOptions options = exec_options({"/bin/sleep", "1234"});
  auto attempt = [&] { engine().run_process(task(id_), options, {}, within_ms(1000), &partial); };
  EXPECT_EQ(code_of(attempt), Code::kDeadlineExceeded);
  EXPECT_EQ(engine().task_processes(task(id_), soon()).size(), 1u);
  EXPECT_EQ(leftovers(), 0u);
}

TEST_P(ExecTest, InTwoSteps) {
  ExecOptions options = exec_options({"/bin/cat"});
  options.id = "two";
  options.start = false;
  Stdio stdio;
  stdio.in = stdio.out = Std::kPipe;
  stdio.err = Std::kDevnull;
  NewProcess made = engine().exec_process(task(id_), options, stdio, soon());
  EXPECT_EQ(made.pid, 0);
  EXPECT_EQ(code_of([&] { engine().kill_process(process(made), SIGTERM, soon()); }),
            Code::kFailedPrecondition);
  EXPECT_GT(engine().start_process(process(made), made.io, &made.in, soon()), 0);
  EXPECT_FALSE(engine().poll_process(process(made), soon()));
  UniqueFd parked = engine().park_wait(process(made), soon());
  pollfd waiting{parked.get(), POLLIN, 0};
  EXPECT_EQ(::poll(&waiting, 1, 0), 0);
  made.in.reset();
  engine().close_stdin(process(made), soon());
  EXPECT_EQ(engine().wait_process(process(made), soon()).status, 0);
  EXPECT_EQ(::poll(&waiting, 1, 10'000), 1);
  EXPECT_EQ(engine().delete_process(process(made), made.io, soon()).status, 0);
  EXPECT_EQ(leftovers(), 0u);
}

TEST_P(ExecTest, WhatCannotStartLeavesNothing) {
  Stdio none{Std::kDevnull, Std::kDevnull, Std::kDevnull};
  for (bool tty : {false, true}) {
    ExecOptions options = exec_options({"/no/such/program"});
    options.process.tty = tty;
    EXPECT_EQ(code_of([&] { engine().exec_process(task(id_), options, none, soon()); }),
              Code::kNotFound);
  }
  EXPECT_EQ(leftovers(), 0u);
}

TEST_P(ExecTest, FoundByIdAndByPid) {
  Stdio none{Std::kDevnull, Std::kDevnull, Std::kDevnull};
  ExecOptions options = exec_options({"/bin/sleep", "1000"});
  options.id = "mine";
  NewProcess made = engine().exec_process(task(id_), options, none, soon());
  EXPECT_EQ(code_of([&] { engine().exec_process(task(id_), options, none, soon()); }),
            Code::kAlreadyExists);
  ProcessInfo found = engine().find_process({task(id_), "", made.pid}, soon());
  EXPECT_EQ(found.id, "mine");
  EXPECT_EQ(found.pid, made.pid);
  EXPECT_NE(found.json.find("1000"), std::string::npos);
  EXPECT_EQ(code_of([&] { engine().find_process({task(id_), "other"}, soon()); }), Code::kNotFound);
  EXPECT_EQ(code_of([&] {
              engine().find_process({task(id_), "", ::getpid()}, soon());
            }),
            Code::kNotFound);
  engine().kill_process({task(id_), "", made.pid}, SIGKILL, soon());
  EXPECT_EQ(engine().wait_process(process(made), soon()).signal, SIGKILL);
}

}  // namespace
}  // namespace ctrd::engine
