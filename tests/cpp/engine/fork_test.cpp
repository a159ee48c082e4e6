// SPDX-License-Identifier: Apache-2.0
// fork(): an inherited engine refuses, a new one works, and the child holds none of its parent's
// locks.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/fixture.h"

namespace ctrd::engine {
namespace {

class ForkTest : public EngineTest {
 protected:
  // f in a forked child: 0 if it returned true.
  int in_child(const std::function<bool()>& f) {
    pid_t pid = ::fork();
    if (pid == 0) {
      bool ok = false;
      try {
        ok = f();
      } catch (...) {
      }
      ::_exit(ok ? 0 : 1);
    }
    int status = -1;
    EXPECT_EQ(::waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
};

TEST_F(ForkTest, AnInheritedEngineRefusesANewOneWorks) {
  std::string id = start({"/bin/sleep", "1000"});
  EXPECT_EQ(in_child([&] {
              Error error(Code::kOk, "");
              bool refused = code_of([&] { engine().list(kNs, {}, soon()); }, &error) ==
                                 Code::kFailedPrecondition &&
                             error.kind() == Kind::kFork;
              auto fresh = Engine::open(config());
              bool sees = fresh->status(kNs, id, soon()) == TaskStatus::kRunning;
              bool runs = fresh->run(kNs, shell("echo hi"), {}, soon(), nullptr).out == "hi\n";
              fresh->close(soon());
              return refused && sees && runs;
            }),
            0);
  EXPECT_EQ(engine().status(kNs, id, soon()), TaskStatus::kRunning);
}

TEST_F(ForkTest, AChildThatLivesOnKeepsNoLock) {
  int fds[2];
  ASSERT_EQ(::pipe(fds), 0);
  UniqueFd reader(fds[0]), writer(fds[1]);
  // An owner that forks a child and dies: its container must go, though the child lives.
  pid_t owner = ::fork();
  if (owner == 0) {
    auto engine = Engine::open(config());
    CreateOptions options = shell("sleep 1000");
    options.id = "c";
    engine->create(kNs, options, soon());
    engine->create_task(kNs, "c", {}, false, soon());
    engine->start_task(task("c"), soon());
    pid_t child = ::fork();
    if (child == 0)
      for (;;) ::pause();
    EXPECT_EQ(::write(writer.get(), &child, sizeof child), static_cast<ssize_t>(sizeof child));
    for (;;) ::pause();
  }
  pid_t child = -1;
  ASSERT_EQ(::read(reader.get(), &child, sizeof child), static_cast<ssize_t>(sizeof child));
  ASSERT_EQ(engine().status(kNs, "c", soon()), TaskStatus::kRunning);
  ::kill(owner, SIGKILL);
  ::waitpid(owner, nullptr, 0);
  EXPECT_TRUE(engine().list(kNs, {}, soon()).empty());
  CreateOptions options = this->options({"/bin/true"});
  options.id = "c";
  engine().create(kNs, options, soon());  // so its claim, its owner's lock and the store's are free
  EXPECT_EQ(::kill(child, SIGKILL), 0);
}

}  // namespace
}  // namespace ctrd::engine
