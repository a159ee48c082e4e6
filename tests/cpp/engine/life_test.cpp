// SPDX-License-Identifier: Apache-2.0
// The life of a container and its task, verb by verb, with both runtimes.
#include <signal.h>
#include <unistd.h>

#include "base/process.h"
#include "engine/fixture.h"

namespace ctrd::engine {
namespace {

class Life : public RuntimeTest {};
CTRD_EACH_RUNTIME(Life);

TEST_P(Life, FromCreateToDelete) {
  std::string id = create({"/bin/sh", "-c", "echo out; echo err >&2; exit 7"});
  EXPECT_EQ(engine().status(kNs, id, soon()), TaskStatus::kNone);
  NewTask made = engine().create_task(kNs, id, {}, false, soon());
  EXPECT_GT(made.pid, 0);
  EXPECT_EQ(engine().task_state(task(id), soon()).status, TaskStatus::kCreated);
  EXPECT_EQ(engine().get(kNs, id, soon()).pid, made.pid);
  engine().start_task(task(id), soon());
  ExitStatus exit = engine().wait_task({kNs, id, made.instance}, soon());
  EXPECT_EQ(exit.status, 7);
  EXPECT_FALSE(exit.signal);
  EXPECT_EQ(exit.lost, Lost::kNot);
  EXPECT_GT(exit.started_ns, 0);
  EXPECT_GT(exit.exited_ns, exit.started_ns);
  ContainerInfo info = engine().get(kNs, id, soon());
  EXPECT_EQ(info.status, TaskStatus::kStopped);
  EXPECT_EQ(info.pid, 0);
  EXPECT_EQ(info.exit->status, 7);
  EXPECT_EQ(engine().wait_task(task(id), soon()).status, 7);
  EXPECT_EQ(engine().poll_task(task(id), soon())->status, 7);
  std::string text = log_text(id);
  EXPECT_TRUE(text == "out\nerr\n" || text == "err\nout\n") << text;
  EXPECT_EQ(engine().delete_task(task(id), false, soon()).status, 7);
  EXPECT_EQ(engine().status(kNs, id, soon()), TaskStatus::kNone);
  EXPECT_TRUE(engine().remove(kNs, id, false, false, soon()));
  EXPECT_EQ(code_of([&] { engine().get(kNs, id, soon()); }), Code::kNotFound);
}

TEST_P(Life, AStoppedContainerStartsAgainOnTheSameLayer) {
  std::string id = start({"/bin/sh", "-c", "test -e /mark && exit 3; touch /mark"});
  EXPECT_EQ(engine().wait_task(task(id), soon()).status, 0);
  Error error(Code::kOk, "");
  EXPECT_EQ(code_of([&] { engine().create_task(kNs, id, {}, false, soon()); }, &error),
            Code::kAlreadyExists);
  EXPECT_EQ(error.kind(), Kind::kTask);
  engine().create_task(kNs, id, {}, true, soon());
  engine().start_task(task(id), soon());
  EXPECT_EQ(engine().wait_task(task(id), soon()).status, 3);
  EXPECT_EQ(::access((rootfs_ + "/mark").c_str(), F_OK),
            -1);  // the user's directory is never written to
}

TEST_P(Life, ASecondTaskIsRefused) {
  std::string id = start({"/bin/sleep", "1000"});
  for (bool replace : {false, true}) {
    Error error(Code::kOk, "");
    EXPECT_EQ(code_of([&] { engine().create_task(kNs, id, {}, replace, soon()); }, &error),
              Code::kAlreadyExists);
    EXPECT_EQ(error.kind(), Kind::kTask);
  }
  EXPECT_EQ(engine().status(kNs, id, soon()), TaskStatus::kRunning);
}

TEST_P(Life, StartTwiceAndStartOfAnEndedTaskAreRefused) {
  std::string id = start({"/bin/sleep", "1000"});
  EXPECT_EQ(code_of([&] { engine().start_task(task(id), soon()); }), Code::kFailedPrecondition);
  engine().kill_task(task(id), SIGKILL, std::nullopt, false, soon());
  engine().wait_task(task(id), soon());
  EXPECT_EQ(code_of([&] { engine().start_task(task(id), soon()); }), Code::kFailedPrecondition);
  engine().delete_task(task(id), false, soon());
  EXPECT_EQ(code_of([&] { engine().start_task(task(id), soon()); }), Code::kNotFound);
}

TEST_P(Life, ALiveTaskIsDeletedByForceOnly) {
  for (bool started : {false, true}) {
    std::string id = create({"/bin/sleep", "1000"});
    engine().create_task(kNs, id, {}, false, soon());
    if (started) engine().start_task(task(id), soon());
    Error error(Code::kOk, "");
    EXPECT_EQ(code_of([&] { engine().remove(kNs, id, false, false, soon()); }, &error),
              Code::kFailedPrecondition);
    EXPECT_EQ(error.kind(), Kind::kTask);
    EXPECT_EQ(code_of([&] { engine().delete_task(task(id), false, soon()); }),
              Code::kFailedPrecondition);
    EXPECT_EQ(engine().delete_task(task(id), true, soon()).status, 137);
    engine().create_task(kNs, id, {}, false, soon());
    EXPECT_TRUE(engine().remove(kNs, id, true, false, soon()));
    EXPECT_FALSE(engine().contains(kNs, id, soon()));
  }
}

TEST_P(Life, AStoppedTaskGoesWithItsContainer) {
  std::string id = start({"/bin/true"});
  engine().wait_task(task(id), soon());
  EXPECT_TRUE(engine().remove(kNs, id, false, false, soon()));
}

TEST_P(Life, KillsReachInitAllAndOneProcess) {
  std::string id = start({"/bin/sh", "-c", "trap 'exit 9' USR1; sleep 1000 & echo up; wait"});
  LogOptions options;
  options.follow = true;
  EXPECT_EQ(engine().logs(kNs, id, options, soon())->next(soon())->data, "up");
  auto processes = engine().task_processes(task(id), soon());
  ASSERT_EQ(processes.size(), 2u);
  EXPECT_EQ(processes[0].facts.args[0], "/bin/sh");
  engine().kill_task(task(id), 0, processes[1].facts.pid, false, soon());
  EXPECT_EQ(code_of([&] { engine().kill_task(task(id), SIGKILL, ::getpid(), false, soon()); }),
            Code::kNotFound);
  engine().kill_task(task(id), SIGUSR1, std::nullopt, false, soon());
  EXPECT_EQ(engine().wait_task(task(id), soon()).status, 9);
  engine().kill_task(task(id), SIGKILL, std::nullopt, false, soon());  // it has ended: nothing
  EXPECT_TRUE(engine().task_processes(task(id), soon()).empty());
}

TEST_P(Life, ADeathBySignalIs128AndIt) {
  std::string id = start({"/bin/sleep", "1000"});
  engine().kill_task(task(id), SIGKILL, std::nullopt, true, soon());
  ExitStatus exit = engine().wait_task(task(id), soon());
  EXPECT_EQ(exit.status, 137);
  EXPECT_EQ(exit.signal, 9);
}

TEST_P(Life, StopAsksThenKills) {
  std::string polite =
      start({"/bin/sh", "-c", "trap 'exit 4' TERM; echo up; while :; do sleep 0.01; done"});
  LogOptions options;
  options.follow = true;
  engine().logs(kNs, polite, options, soon())->next(soon());
  ExitStatus exit = engine().stop_task(task(polite), SIGTERM, kLong, soon());
  EXPECT_EQ(exit.status, 4);
  EXPECT_FALSE(exit.escalated);
  // Process 1 without a handler; until runc's own has executed it, SIGTERM would end that.
  std::string deaf = start({"/bin/sh", "-c", "echo up; exec sleep 1000"});
  engine().logs(kNs, deaf, options, soon())->next(soon());
  exit = engine().stop_task(task(deaf), SIGTERM, std::chrono::milliseconds(50), soon());
  EXPECT_EQ(exit.status, 137);
  EXPECT_TRUE(exit.escalated);
  EXPECT_TRUE(engine().wait_task(task(deaf), soon()).escalated);
  EXPECT_EQ(engine().stop_task(task(deaf), SIGTERM, kLong, soon()).status, 137);
  std::string waiting = create({"/bin/sleep", "1000"});
  engine().create_task(kNs, waiting, {}, false, soon());
  EXPECT_EQ(engine().stop_task(task(waiting), SIGTERM, kLong, soon()).status, 137);
}

TEST_P(Life, WaitEndsAtItsDeadlineAndTheTaskDoesNot) {
  std::string id = start({"/bin/sleep", "1000"});
  EXPECT_EQ(code_of([&] { engine().wait_task(task(id), within_ms(50)); }), Code::kDeadlineExceeded);
  EXPECT_EQ(engine().status(kNs, id, soon()), TaskStatus::kRunning);
  EXPECT_FALSE(engine().poll_task(task(id), soon()));
}

TEST_P(Life, PipesAreTheTasksOwn) {
  std::string id = create({"/bin/sh", "-c", "cat; echo bye >&2"});
  NewTask made = engine().create_task(kNs, id, {Std::kPipe, Std::kPipe, Std::kPipe}, false, soon());
  engine().start_task(task(id), soon());
  ASSERT_EQ(::write(made.in.get(), "hello\n", 6), 6);
  made.in.reset();
  engine().close_stdin({task(id), "", 0}, soon());  // the shim keeps it open for whoever attaches
  auto read_all = [](int fd) {
    std::string text;
    char buffer[256];
    for (;;) {
      wait_ready(fd, POLLIN, soon(), "read a pipe");
      ssize_t got = ::read(fd, buffer, sizeof buffer);
      if (got <= 0) return text;
      text.append(buffer, static_cast<std::size_t>(got));
    }
  };
  EXPECT_EQ(read_all(made.out.get()), "hello\n");
  EXPECT_EQ(read_all(made.err.get()), "bye\n");
  EXPECT_EQ(engine().wait_task(task(id), soon()).status, 0);
}

TEST_P(Life, AnOldTaskObjectNeverMeansANewTask) {
  std::string id = create({"/bin/sleep", "1000"});
  std::string old = engine().create_task(kNs, id, {}, false, soon()).instance;
  engine().delete_task({kNs, id, old}, true, soon());
  engine().create_task(kNs, id, {}, false, soon());
  for (auto& verb : std::vector<std::function<void(const TaskRef&)>>{
           [&](auto& ref) { engine().start_task(ref, soon()); },
           [&](auto& ref) { engine().wait_task(ref, soon()); },
           [&](auto& ref) { engine().kill_task(ref, SIGKILL, std::nullopt, false, soon()); },
           [&](auto& ref) { engine().delete_task(ref, true, soon()); }}) {
    Error error(Code::kOk, "");
    EXPECT_EQ(code_of([&] { verb({kNs, id, old}); }, &error), Code::kNotFound);
    EXPECT_EQ(error.kind(), Kind::kTask);
  }
  EXPECT_EQ(engine().status(kNs, id, soon()), TaskStatus::kCreated);
}

TEST_P(Life, AMissingProgramLeavesNothingAndTheNextTryWorks) {
  std::string id = create({"/bin/nosuch"});
  Error error(Code::kOk, "");
  EXPECT_EQ(code_of([&] { engine().create_task(kNs, id, {}, false, soon()); }, &error),
            Code::kNotFound)
      << error.message();
  EXPECT_EQ(engine().status(kNs, id, soon()), TaskStatus::kNone);
  EXPECT_TRUE(engine().remove(kNs, id, false, false, soon()));
}

class LifeOfNone : public EngineTest {};

TEST_F(LifeOfNone, VerbsOnWhatIsNotThereAreNotFound) {
  std::string id = create({"/bin/true"});
  Error error(Code::kOk, "");
  EXPECT_EQ(code_of([&] { engine().wait_task(task(id), soon()); }, &error), Code::kNotFound);
  EXPECT_EQ(error.kind(), Kind::kTask);
  EXPECT_EQ(code_of([&] { engine().wait_task(task("nosuch"), soon()); }, &error), Code::kNotFound);
  EXPECT_EQ(error.kind(), Kind::kContainer);
  EXPECT_EQ(code_of([&] { engine().create_task(kNs, "nosuch", {}, false, soon()); }, &error),
            Code::kNotFound);
  EXPECT_EQ(error.kind(), Kind::kContainer);
  EXPECT_EQ(code_of([&] { engine().logs(kNs, id, {}, soon()); }), Code::kNotFound);
  EXPECT_EQ(code_of([&] { engine().task_state(task(id), soon()); }), Code::kNotFound);
}

TEST_F(LifeOfNone, SignalsBeyondTheLastAreRefused) {
  std::string id = start({"/bin/sleep", "1000"});
  for (int signal : {-1, 65, 4711}) {
    Error error(Code::kOk, "");
    EXPECT_EQ(
        code_of([&] { engine().kill_task(task(id), signal, std::nullopt, false, soon()); }, &error),
        Code::kInvalidArgument);
    EXPECT_EQ(error.find("field"), "signal");
  }
}

TEST_F(LifeOfNone, AnInterruptedCreateTaskLeavesNothing) {
  struct Interrupted {};
  std::string id = create({"/bin/true"});
  Wait wait = soon();
  wait.interrupted = [] { throw Interrupted(); };
  EXPECT_THROW(engine().create_task(kNs, id, {}, false, wait), Interrupted);
  EXPECT_EQ(engine().status(kNs, id, soon()), TaskStatus::kNone);
  engine().create_task(kNs, id, {}, false, soon());
}

}  // namespace
}  // namespace ctrd::engine
