// SPDX-License-Identifier: Apache-2.0
// What a fork()ed child has: no lock of its parent, a Store that refuses, and the right to open its
// own.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <latch>
#include <thread>

#include "base/error.h"
#include "store/support.h"

namespace ctrd::store {
namespace {

// f in a fork()ed child; its result is the child's exit status.
int in_child(const std::function<bool()>& f) {
  pid_t pid = ::fork();
  if (pid == 0) {
    ::alarm(60);  // a child that hangs fails
    ::_exit(f() ? 0 : 1);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  return status;
}

bool refuses(Store& store) {
  try {
    get(store, "a");
  } catch (const Error& error) {
    return error.code() == Code::kFailedPrecondition && error.kind() == Kind::kFork;
  }
  return false;
}

TEST(Fork, TheInheritedStoreRefuses) {
  TempDir temp;
  auto store = open_store(temp.path());
  put(*store, "a", "1");
  EXPECT_EQ(in_child([&] {
              bool refused = refuses(*store);
              store.reset();
              return refused;
            }),
            0);
  EXPECT_EQ(get(*store, "a"), "1");
}

TEST(Fork, AChildOpensItsOwn) {
  TempDir temp;
  auto store = open_store(temp.path());
  put(*store, "a", "1");
  EXPECT_EQ(in_child([&] {
              auto own = open_store(temp.path());
              for (int i = 0; i < 500; ++i)  // compactions too
                put(*own, "c" + std::to_string(i), std::string(2000, 'x'));
              return get(*own, "a") == "1" && refuses(*store);
            }),
            0);
  EXPECT_EQ(contents(*store).size(), 501u);
}

// Open and idle, with a thread that looks after it: the child has neither, and writes nothing.
TEST(Fork, WhileItIsHeldOpen) {
  TempDir temp;
  auto store = open_store(temp.path(), {.idle_close = std::chrono::hours(1)});
  for (int i = 0; i < 100; ++i) put(*store, "k" + std::to_string(i), std::string(1000, 'x'));
  EXPECT_EQ(in_child([&] {
              bool refused = refuses(*store);
              store.reset();
              for (const auto& fd : descriptors_below(temp.path()))
                if (real_path(fd_path(std::stoi(fd))).ends_with("/db")) return false;
              // Its parent hands the database over, as to any other process.
              auto own = open_store(temp.path());
              put(*own, "child", "1");
              return refused && contents(*own).size() == 101;
            }),
            0);
  put(*store, "parent", "1");
  EXPECT_EQ(contents(*store).size(), 102u);
}

// f has no business to fork; if it does, the child must not go on with its parent's operation.
TEST(Fork, InsideAnOperation) {
  TempDir temp;
  auto store = open_store(temp.path());
  pid_t child = -1;
  auto fork_and_add = [&] {
    store->write({}, [&](const View&, Batch& batch) {
      child = ::fork();
      batch.put(child == 0 ? "child" : "parent", "1");
    });
  };
  bool refused = false;
  try {
    fork_and_add();
  } catch (const Error& error) {
    refused = error.kind() == Kind::kFork;
  }
  if (child == 0) ::_exit(refused && refuses(*store) ? 0 : 1);
  EXPECT_FALSE(refused);
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(contents(*store), (std::map<std::string, std::string>{{"parent", "1"}}));
}

// Forks at any moment of a database that is opened, used and closed all the time.
TEST(Fork, AtAnyMoment) {
  TempDir temp, other;
  auto store = open_store(temp.path(), {.idle_close = std::chrono::microseconds(100)});
  std::atomic<bool> done{false};
  std::thread busy([&] {
    for (int i = 0; !done; ++i) {
      put(*store, std::to_string(i % 50), std::string(3000, 'x'));
      if (i % 3 == 0) ::usleep(7000);  // the timer closes it
    }
  });
  for (int i = 0; i < 100; ++i)
    EXPECT_EQ(in_child([&] {
                auto own = open_store(i % 2 ? temp.path() : other.path());
                put(*own, "child" + std::to_string(i), "1");
                return refuses(*store);
              }),
              0);
  done = true;
  busy.join();
  EXPECT_GE(contents(*store).size(), 50u);
  EXPECT_EQ(contents(*open_store(other.path())).size(), 50u);
}

// Another thread is in the middle of an operation, or waits for its turn, while this one forks.
TEST(Fork, WhileOthersAreBusy) {
  TempDir temp;
  auto store = open_store(temp.path());
  std::latch held(1), let_go(1);
  std::thread holder([&] {
    store->write({}, [&](const View&, Batch& batch) {
      batch.put("a", "1");
      held.count_down();
      let_go.wait();
    });
  });
  held.wait();
  std::thread waiter([&] { get(*store, "a"); });
  EXPECT_EQ(in_child([&] {
              bool refused = refuses(*store);
              auto own = open_store(temp.path(), {std::chrono::milliseconds(50)});
              bool busy = code_of([&] { get(*own, "a"); }) == Code::kUnavailable;
              store.reset();
              return refused && busy;
            }),
            0);
  let_go.count_down();
  holder.join();
  waiter.join();
  EXPECT_EQ(get(*store, "a"), "1");
}

// forker-idle <path>: forks with the database open; prints the child's pid and waits to be killed.
int fork_idle(const std::vector<std::string>& args) {
  auto store = open_store(args.at(0), {.idle_close = std::chrono::hours(1)});
  put(*store, "a", "1");
  pid_t child = ::fork();
  if (child == 0) {
    ::alarm(60);
    for (;;) ::pause();
  }
  std::printf("%d\n", child);
  std::fflush(stdout);
  for (;;) ::pause();
}
const HelperName kForkerIdle("forker-idle", fork_idle);

// forker <path>: forks inside an operation; prints the child's pid and waits to be killed.
int fork_inside(const std::vector<std::string>& args) {
  open_store(args.at(0))->read({}, [](const View&) {
    pid_t child = ::fork();
    if (child == 0) {
      ::alarm(60);  // should nobody kill it
      for (;;) ::pause();
    }
    std::printf("%d\n", child);
    std::fflush(stdout);
    for (;;) ::pause();
  });
  return 0;
}
const HelperName kForker("forker", fork_inside);

TEST(Fork, AChildThatOutlivesItsParentKeepsNoLock) {
  TempDir temp;
  Helper parent({"forker", temp.path()});
  pid_t child = std::stoi(parent.line());
  auto store = open_store(temp.path(), {std::chrono::milliseconds(50)});
  EXPECT_EQ(code_of([&] { get(*store, "a"); }), Code::kUnavailable);
  parent.kill();
  EXPECT_EQ(::kill(child, 0), 0);
  EXPECT_FALSE(get(*open_store(temp.path()), "a"));
  ::kill(child, SIGKILL);
}

TEST(Fork, AChildThatOutlivesAnIdleHolderKeepsNoLock) {
  TempDir temp;
  Helper parent({"forker-idle", temp.path()});
  pid_t child = std::stoi(parent.line());
  parent.kill();
  EXPECT_EQ(::kill(child, 0), 0);
  EXPECT_EQ(get(*open_store(temp.path()), "a"), "1");
  ::kill(child, SIGKILL);
}

}  // namespace
}  // namespace ctrd::store
