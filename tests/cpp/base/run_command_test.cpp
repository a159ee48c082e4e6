// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <stdexcept>

#include "base/process.h"
#include "base/spawn.h"
#include "temp_dir.h"

namespace ctrd {
namespace {

using std::chrono::milliseconds;

SpawnSpec shell(const std::string& script) {
  return {.argv = {"/bin/sh", "-c", script}, .env = {"PATH=/usr/bin:/bin"}};
}

TEST(RunCommandTest, ReturnsBothStreamsAndTheStatus) {
  Output output = run_command(shell("echo out; echo err >&2; exit 3"), "", {});
  EXPECT_EQ(output.out, "out\n");
  EXPECT_EQ(output.err, "err\n");
  EXPECT_EQ(output.exit.status, 3);
  EXPECT_FALSE(output.timed_out);
}

TEST(RunCommandTest, FeedsInput) {
  std::string input;
  for (int i = 0; i < 200'000; ++i) input += "0123456789";  // more than any pipe
  Output output = run_command({.argv = {"cat"}}, input, {}, input.size());
  EXPECT_EQ(output.out.size(), input.size());
  EXPECT_TRUE(output.out == input);
  // A child that reads none of it is no trouble.
  EXPECT_EQ(run_command({.argv = {"true"}}, input, {}).exit.status, 0);
  EXPECT_EQ(run_command({.argv = {"cat"}}, "", {}).out, "");
}

TEST(RunCommandTest, BoundsWhatItKeeps) {
  Output output = run_command(
      shell("head -c 10485760 /dev/zero; head -c 10485760 /dev/zero >&2; echo end"), "", {}, 1000);
  EXPECT_EQ(output.out.size(), 1000u);
  EXPECT_EQ(output.err.size(), 1000u);
  EXPECT_EQ(output.exit.status, 0);
}

TEST(RunCommandTest, KeepsAllThatTheChildWrote) {
  for (int i = 0; i < 20; ++i) {
    Output output = run_command(shell("head -c 60000 /dev/zero"), "", {});
    EXPECT_EQ(output.out.size(), 60000u);
  }
}

TEST(RunCommandTest, KillsAtTheDeadline) {
  Output output =
      run_command(shell("echo begun; exec sleep 1000"), "", {after(milliseconds(300)), {}});
  EXPECT_TRUE(output.timed_out);
  EXPECT_EQ(output.exit.status, 128 + SIGKILL);
  EXPECT_EQ(output.exit.signal, SIGKILL);
}

TEST(RunCommandTest, ADeadlineEndsAnEndlessTalkerToo) {
  Output output = run_command({.argv = {"cat", "/dev/zero"}}, "", {after(milliseconds(100)), {}});
  EXPECT_TRUE(output.timed_out);
  EXPECT_EQ(output.out.size(), std::size_t{1} << 20);
}

TEST(RunCommandTest, InterruptionKillsAndIsRethrown) {
  TempDir dir;
  SpawnSpec spec = shell("echo $$ > pid; exec sleep 1000");
  spec.cwd_dir = dir.fd();
  pid_t pid = 0;
  Wait wait{kForever, [&] {
              auto text = find_file_at(dir.fd(), "pid");
              if (!text || !text->ends_with('\n')) return;
              pid = std::stoi(*text);
              throw std::runtime_error("ctrl-c");
            }};
  EXPECT_THROW(run_command(spec, "", wait), std::runtime_error);
  EXPECT_GT(pid, 0);
  EXPECT_FALSE(start_time(pid, false));  // ended, and reaped
}

// A background process that has the pipes, as a runtime's container has; it waits for our FIFO.
TEST(RunCommandTest, AGrandchildThatKeepsThePipeHoldsNobody) {
  TempDir dir;
  ASSERT_EQ(::mkfifoat(dir.fd(), "fifo", 0600), 0);
  UniqueFd fifo = open_at(dir.fd(), "fifo", O_RDWR);
  SpawnSpec spec = shell("(read line < fifo) & echo $!");
  spec.cwd_dir = dir.fd();
  Output output = run_command(spec, "", {after(std::chrono::seconds(60)), {}});
  EXPECT_FALSE(output.timed_out);
  EXPECT_EQ(output.exit.status, 0);
  auto grandchild = static_cast<pid_t>(std::stoi(output.out));
  auto start = start_time(grandchild);
  ASSERT_TRUE(start);
  EXPECT_TRUE(signal_process({grandchild, *start, boot_id()}, SIGKILL));
}

TEST(RunCommandTest, ANewSessionIsKilledAsAWhole) {
  TempDir dir;
  SpawnSpec spec = shell("sleep 1000 & echo $! > pid; mv pid child; wait");
  spec.cwd_dir = dir.fd();
  spec.new_session = true;
  pid_t child = 0;
  std::optional<UniqueFd> pidfd;
  Wait wait{kForever, [&] {
              auto text = find_file_at(dir.fd(), "child");
              if (!text) return;
              child = std::stoi(*text);
              pidfd = open_pidfd({child, start_time(child).value_or(0), boot_id()});
              throw std::runtime_error("ctrl-c");
            }};
  EXPECT_THROW(run_command(spec, "", wait), std::runtime_error);
  ASSERT_TRUE(pidfd);
  pollfd entry{pidfd->get(), POLLIN, 0};
  EXPECT_EQ(poll_until({&entry, 1}, {after(std::chrono::seconds(60)), {}}), 1);
}

TEST(RunCommandTest, GivenDescriptorsAreLeftAlone) {
  TempDir dir;
  UniqueFd file = open_at(dir.fd(), "out", O_RDWR | O_CREAT);
  SpawnSpec spec = shell("echo to the file; echo err >&2");
  spec.fds = {{file.get(), 1}};
  Output output = run_command(spec, "", {});
  EXPECT_EQ(output.out, "");
  EXPECT_EQ(output.err, "err\n");
  EXPECT_EQ(read_file_at(dir.fd(), "out"), "to the file\n");
}

TEST(RunCommandTest, AMissingProgramIsNotFound) {
  EXPECT_EQ(code_of([] { run_command({.argv = {"/nowhere/x"}}, "in", {}); }), Code::kNotFound);
}

}  // namespace
}  // namespace ctrd
