// SPDX-License-Identifier: Apache-2.0
#include "base/time.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>

#include "base/unique_fd.h"
#include "temp_dir.h"

namespace ctrd {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

struct Pipe {
  UniqueFd reader, writer;
  Pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) < 0) throw sys_error("pipe");
    reader.reset(ends[0]);
    writer.reset(ends[1]);
  }
};

TEST(TimeTest, AfterSaturates) {
  EXPECT_EQ(after(Nanos::max()), kForever);
  EXPECT_GT(after(hours(1)), Clock::now());
  TimePoint past = after(Nanos(-1));
  EXPECT_LE(past, Clock::now());
  EXPECT_GT(wall_ns(), 1'600'000'000'000'000'000);
}

TEST(TimeTest, WithinTakesTheEarlier) {
  TimePoint soon = after(milliseconds(1));
  Wait wait{soon, {}};
  EXPECT_EQ(wait.within(hours(1)).deadline, soon);
  EXPECT_LT(Wait{}.within(hours(1)).deadline, kForever);
  EXPECT_FALSE(Wait{}.expired());
  EXPECT_TRUE((Wait{after(Nanos(-1)), {}}.expired()));
  int asked = 0;
  Wait asking{kForever, [&] { ++asked; }};
  asking.within(hours(1)).check();
  EXPECT_EQ(asked, 1);
}

TEST(TimeTest, PollSeesWhatIsReady) {
  Pipe pipe;
  ASSERT_EQ(::write(pipe.writer.get(), "x", 1), 1);
  pollfd entry{pipe.reader.get(), POLLIN, 0};
  EXPECT_EQ(poll_until({&entry, 1}, {}), 1);
  EXPECT_EQ(entry.revents, POLLIN);
  // What is ready wins over a deadline that has passed.
  EXPECT_EQ(poll_until({&entry, 1}, {after(Nanos(-1)), {}}), 1);
}

TEST(TimeTest, PollEndsAtTheDeadline) {
  Pipe pipe;
  pollfd entry{pipe.reader.get(), POLLIN, 0};
  EXPECT_EQ(poll_until({&entry, 1}, {after(milliseconds(20)), {}}), 0);
  EXPECT_EQ(poll_until({}, {after(milliseconds(1)), {}}), 0);
}

TEST(TimeTest, PollAsksBeforeItBlocksAndAgain) {
  Pipe pipe;
  pollfd entry{pipe.reader.get(), POLLIN, 0};
  int asked = 0;
  Wait wait{kForever, [&] {
              if (++asked == 4) throw std::runtime_error("enough");
            }};
  EXPECT_THROW(poll_until({&entry, 1}, wait), std::runtime_error);
  EXPECT_EQ(asked, 4);
}

std::atomic<bool> signalled = false;

TEST(TimeTest, ASignalEndsABlockingPoll) {
  struct sigaction action {};
  struct sigaction before {};
  action.sa_handler = [](int) { signalled = true; };  // without SA_RESTART: EINTR
  ASSERT_EQ(::sigaction(SIGUSR1, &action, &before), 0);
  Pipe pipe;
  pthread_t self = ::pthread_self();
  std::atomic<bool> waiting = false;
  std::thread sender([&] {
    while (!waiting) std::this_thread::yield();
    ::pthread_kill(self, SIGUSR1);
  });
  Wait wait{kForever, [&] {
              waiting = true;
              if (signalled) throw std::runtime_error("interrupted");
            }};
  EXPECT_THROW(wait_ready(pipe.reader.get(), POLLIN, wait, "read"), std::runtime_error);
  sender.join();
  ::sigaction(SIGUSR1, &before, nullptr);
}

TEST(TimeTest, ASignalAloneEndsNothing) {
  struct sigaction action {};
  struct sigaction before {};
  action.sa_handler = [](int) {};
  ASSERT_EQ(::sigaction(SIGUSR1, &action, &before), 0);
  Pipe pipe;
  pthread_t self = ::pthread_self();
  std::thread sender([&] {
    for (int i = 0; i < 100; ++i) ::pthread_kill(self, SIGUSR1);
    EXPECT_EQ(::write(pipe.writer.get(), "x", 1), 1);
  });
  EXPECT_NO_THROW(wait_ready(pipe.reader.get(), POLLIN, {}, "read"));
  sender.join();
  ::sigaction(SIGUSR1, &before, nullptr);
}

TEST(TimeTest, SaysWhatTookTooLong) {
  Pipe pipe;
  Wait wait{after(milliseconds(10)), {}};
  Error error = error_of([&] { wait_ready(pipe.reader.get(), POLLIN, wait, "wait for c1"); });
  EXPECT_EQ(error.code(), Code::kDeadlineExceeded);
  EXPECT_TRUE(error.message().starts_with("wait for c1: deadline exceeded after ")) << error.what();
  EXPECT_FALSE(error.find("timeout").empty());
  EXPECT_EQ(error_of([] { throw_timeout("wait"); }).message(), "wait: deadline exceeded");
}

}  // namespace
}  // namespace ctrd
