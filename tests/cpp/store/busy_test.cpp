// SPDX-License-Identifier: Apache-2.0
// Waiting for a store that somebody else has.
#include <gmock/gmock.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <deque>
#include <future>
#include <stdexcept>

#include "base/error.h"
#include "store/holder.h"
#include "store/support.h"

namespace ctrd::store {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

// hold <path>: has it until its stdin ends.
int hold(const std::vector<std::string>& args) {
  open_store(args.at(0))->read({}, [](const View&) {
    std::puts("held");
    std::fflush(stdout);
    char c;
    while (::read(0, &c, 1) > 0) continue;
  });
  return 0;
}
const HelperName kHold("hold", hold);

struct BusyTest : testing::Test {
  void SetUp() override { ASSERT_EQ(holder.line(), "held"); }
  void expect_busy(const Error& error) {
    EXPECT_EQ(error.code(), Code::kUnavailable);
    EXPECT_EQ(error.kind(), Kind::kRoot);
    EXPECT_EQ(error.find("holder_pid"), std::to_string(holder.child().pid));
    EXPECT_THAT(std::string(error.find("holder_cmd")), HasSubstr("--helper hold"));
    EXPECT_THAT(std::string(error.find("since")), testing::MatchesRegex("20..-..-..T..:..:..Z"));
    EXPECT_THAT(error.message(), HasSubstr(temp.path()));
  }

  TempDir temp;
  Helper holder{{"hold", temp.path()}};
};

TEST_F(BusyTest, IsSaidAfterTheTimeout) {
  auto store = open_store(temp.path(), {milliseconds(60)});
  expect_busy(error_of([&] { get(*store, "a"); }));
  expect_busy(error_of([&] { put(*store, "a", "1"); }));
  EXPECT_EQ(holder.wait(), 0);
  EXPECT_FALSE(get(*store, "a"));
}

TEST_F(BusyTest, IsSaidAtTheDeadline) {
  auto store = open_store(temp.path());
  Wait wait;
  wait.deadline = after(milliseconds(60));
  expect_busy(error_of([&] { store->read(wait, [](const View&) {}); }));
}

TEST_F(BusyTest, EndsWhenTheHolderEnds) {
  auto store = open_store(temp.path());
  auto value = std::async(std::launch::async, [&] { return get(*store, "a"); });
  EXPECT_EQ(holder.wait(), 0);
  EXPECT_FALSE(value.get());
}

TEST_F(BusyTest, EndsWhenTheHolderIsKilled) {
  auto store = open_store(temp.path());
  auto value = std::async(std::launch::async, [&] { return get(*store, "a"); });
  holder.kill();
  EXPECT_FALSE(value.get());
}

TEST_F(BusyTest, IsInterrupted) {
  auto store = open_store(temp.path());
  int asked = 0;
  Wait wait;
  wait.interrupted = [&] {
    if (++asked == 3) throw std::runtime_error("interrupted");
  };
  EXPECT_THROW(store->read(wait, [](const View&) {}), std::runtime_error);
  EXPECT_EQ(asked, 3);
}

// hold-open <path>: has it open, idle, and is stopped.
int hold_open(const std::vector<std::string>& args) {
  auto store = open_store(args.at(0), {.idle_close = std::chrono::hours(1)});
  put(*store, "a", "1");
  std::puts("held");
  std::fflush(stdout);
  char c;
  while (::read(0, &c, 1) > 0) continue;
  return 0;
}
const HelperName kHoldOpen("hold-open", hold_open);

bool is_stopped(pid_t pid) {
  std::string text = read_file_at(open_dir("/proc/" + std::to_string(pid)).get(), "stat");
  return text.at(text.rfind(')') + 2) == 'T';
}

struct IdleHolderTest : testing::Test {
  void SetUp() override { ASSERT_EQ(holder.line(), "held"); }
  TempDir temp;
  Helper holder{{"hold-open", temp.path()}};
};

// B20: readers too have a deadline, and are told who.
TEST_F(IdleHolderTest, StoppedItIsNamed) {
  ::kill(holder.child().pid, SIGSTOP);
  ASSERT_TRUE(comes_true([&] { return is_stopped(holder.child().pid); }));
  auto store = open_store(temp.path(), {milliseconds(60)});
  for (const auto& verb : std::vector<std::function<void()>>{
           [&] { get(*store, "a"); }, [&] { contents(*store); }, [&] { put(*store, "a", "2"); }}) {
    Error error = error_of(verb);
    EXPECT_EQ(error.code(), Code::kUnavailable);
    EXPECT_EQ(error.find("holder_pid"), std::to_string(holder.child().pid));
    EXPECT_THAT(std::string(error.find("holder_cmd")), HasSubstr("--helper hold-open"));
  }
  ::kill(holder.child().pid, SIGCONT);
  EXPECT_EQ(get(*open_store(temp.path()), "a"), "1");
}

TEST_F(IdleHolderTest, KilledItIsSucceededAtOnce) {
  ::kill(holder.child().pid, SIGSTOP);
  holder.kill();
  EXPECT_EQ(get(*open_store(temp.path(), {milliseconds(1000)}), "a"), "1");
}

// B20: seven who wait at once.
TEST_F(IdleHolderTest, SevenWaitUntilItIsKilled) {
  ::kill(holder.child().pid, SIGSTOP);
  ASSERT_TRUE(comes_true([&] { return is_stopped(holder.child().pid); }));
  std::deque<Helper> waiters;
  for (int i = 0; i < 7; ++i)
    waiters.emplace_back(std::vector<std::string>{"get", temp.path(), "a"});
  for (Helper& waiter : waiters) {
    std::string pid = std::to_string(waiter.child().pid);
    ASSERT_TRUE(comes_true([&] { return !descriptors_below(temp.path("gate"), pid).empty(); }));
  }
  TimePoint begin = Clock::now();
  holder.kill();
  for (Helper& waiter : waiters) EXPECT_EQ(waiter.line(), "1");
  double took = elapsed_ms(begin);
  RecordProperty("ms", std::to_string(took));
  EXPECT_LT(took, 5000) << "seven hand-overs";
  for (Helper& waiter : waiters) EXPECT_EQ(waiter.wait(), 0);
}

// Stopped between the two locks: not whoever had the database before.
TEST_F(IdleHolderTest, StoppedInTheGateItIsNamed) {
  Helper last({"hold", temp.path()});
  ASSERT_EQ(last.line(), "held");
  Helper waiter({"get", temp.path(), "a"});
  auto waits = [&] {
    Holder in_gate = decode_holder(find_file_at(temp.fd(), "gate").value_or(""));
    return in_gate.pid == waiter.child().pid;
  };
  ASSERT_TRUE(comes_true(waits));
  ::kill(waiter.child().pid, SIGSTOP);
  ASSERT_TRUE(comes_true([&] { return is_stopped(waiter.child().pid); }));
  EXPECT_EQ(last.wait(), 0);
  auto store = open_store(temp.path(), {milliseconds(60)});
  EXPECT_EQ(error_of([&] { get(*store, "a"); }).find("holder_pid"),
            std::to_string(waiter.child().pid));
}

// Who is next behind it has nothing yet that others need.
TEST_F(IdleHolderTest, StoppedInTheQueueItIsPassed) {
  Helper last({"hold", temp.path()});
  ASSERT_EQ(last.line(), "held");
  Helper in_gate({"get", temp.path(), "a"});
  ASSERT_TRUE(comes_true([&] {
    Holder there = decode_holder(find_file_at(temp.fd(), "gate").value_or(""));
    return there.pid == in_gate.child().pid;
  }));
  Helper next({"get", temp.path(), "a"});
  const std::string pid = std::to_string(next.child().pid);
  ASSERT_TRUE(comes_true([&] { return !descriptors_below(temp.path("queue"), pid).empty(); }));
  ::kill(next.child().pid, SIGSTOP);
  ASSERT_TRUE(comes_true([&] { return is_stopped(next.child().pid); }));
  EXPECT_EQ(last.wait(), 0);
  EXPECT_EQ(in_gate.line(), "1");
  EXPECT_EQ(in_gate.wait(), 0);
  EXPECT_EQ(get(*open_store(temp.path()), "a"), "1");
  EXPECT_TRUE(is_stopped(next.child().pid));
  ::kill(next.child().pid, SIGCONT);
  EXPECT_EQ(next.line(), "1");
  EXPECT_EQ(next.wait(), 0);
}

// A signal handler may use the store again: nothing may be held while it runs.
TEST_F(BusyTest, AnInterruptionMayUseTheStore) {
  auto store = open_store(temp.path());
  auto quick = open_store(temp.path(), {milliseconds(5)});
  bool asked = false;
  Wait wait;
  wait.interrupted = [&] {
    if (std::exchange(asked, true)) return;
    expect_busy(error_of([&] { get(*quick, "a"); }));
    holder.wait();
    put(*store, "a", "from the handler");
  };
  std::optional<std::string> value;
  store->read(wait, [&](const View& view) { value = view.find("a"); });
  EXPECT_EQ(value, "from the handler");
}

}  // namespace
}  // namespace ctrd::store
