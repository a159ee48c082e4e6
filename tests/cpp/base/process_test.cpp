// SPDX-License-Identifier: Apache-2.0
#include "base/process.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <set>

#include "base/spawn.h"
#include "temp_dir.h"

namespace ctrd {
namespace {

// A child that lives until it is told to end; ended and reaped here at the latest.
class Sleeper {
 public:
  Sleeper() : child_(spawn({.argv = {"sleep", "1000"}, .env = {"A=b"}})) {}
  ~Sleeper() { end(); }
  pid_t pid() const { return child_.pid; }
  ProcessKey key() const { return {pid(), start_time(pid()).value_or(0), boot_id()}; }
  void wait() const {
    pollfd entry{child_.pidfd.get(), POLLIN, 0};
    poll_until({&entry, 1}, {});
  }
  void end() {
    if (ended_) return;
    ended_ = true;
    ::kill(pid(), SIGKILL);
    reap(child_, {});
  }

 private:
  Child child_;
  bool ended_ = false;
};

TEST(ProcessTest, KnowsThisOne) {
  ProcessKey key = this_process();
  EXPECT_EQ(key.pid, ::getpid());
  EXPECT_GT(key.start, 0u);
  EXPECT_EQ(key.boot.size(), 36u);
  EXPECT_TRUE(is_alive(key));
}

TEST(ProcessTest, AKeyIsOfOneProcess) {
  ProcessKey key = this_process();
  ProcessKey other_start = key;
  other_start.start += 1;
  ProcessKey other_boot = key;
  other_boot.boot = "00000000-0000-0000-0000-000000000000";
  EXPECT_FALSE(is_alive(other_start));
  EXPECT_FALSE(is_alive(other_boot));
  EXPECT_FALSE(open_pidfd(other_start));
  EXPECT_FALSE(open_pidfd(other_boot));
  EXPECT_FALSE(signal_process(other_start, SIGKILL));
  EXPECT_FALSE(signal_process(other_boot, SIGKILL));
}

TEST(ProcessTest, NoProcessHasABadNumber) {
  for (pid_t pid : {0, -1, -5, 0x7fffffff}) {
    EXPECT_FALSE(start_time(pid)) << pid;
    EXPECT_FALSE(process_facts(pid)) << pid;
    EXPECT_FALSE(open_pidfd({pid, 0, boot_id()})) << pid;
    EXPECT_FALSE(signal_process({pid, 0, boot_id()}, SIGKILL)) << pid;
  }
}

TEST(ProcessTest, SignalsAndSeesTheEnd) {
  Sleeper sleeper;
  ProcessKey key = sleeper.key();
  EXPECT_TRUE(is_alive(key));
  auto pidfd = open_pidfd(key);
  ASSERT_TRUE(pidfd);
  EXPECT_TRUE(signal_process(key, SIGTERM));
  sleeper.wait();
  // A zombie now: it has a start time, but is not alive.
  EXPECT_FALSE(start_time(key.pid));
  EXPECT_EQ(start_time(key.pid, false), key.start);
  EXPECT_FALSE(is_alive(key));
  EXPECT_FALSE(open_pidfd(key));
  sleeper.end();
  EXPECT_FALSE(start_time(key.pid, false));
  EXPECT_FALSE(signal_process(key, SIGKILL));
}

TEST(ProcessTest, ReadsFacts) {
  Sleeper sleeper;
  auto facts = process_facts(sleeper.pid());
  // The spawn returns a moment before the kernel shows the new program's arguments.
  while (facts && facts->args.empty()) facts = process_facts(sleeper.pid());
  ASSERT_TRUE(facts);
  EXPECT_EQ(facts->pid, sleeper.pid());
  EXPECT_EQ(facts->ppid, ::getpid());
  EXPECT_EQ(facts->args, (std::vector<std::string>{"sleep", "1000"}));
  EXPECT_EQ(facts->uid, ::getuid());
  EXPECT_GE(facts->rss_bytes, 0);
  EXPECT_GE(facts->cpu_seconds, 0);
  EXPECT_GT(process_facts(::getpid())->rss_bytes, 4096);
}

TEST(ProcessTest, ACommandMayHaveAnyName) {
  TempDir dir;
  create_file_at(dir.fd(), "a ) Z 1 (", "#!/bin/sh\nread line\n", 0755);
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  Child child = spawn({.argv = {dir.path("a ) Z 1 (")}, .fds = {{reader.get(), 0}}});
  EXPECT_TRUE(start_time(child.pid));
  EXPECT_EQ(process_facts(child.pid)->ppid, ::getpid());
  writer.reset();
  EXPECT_TRUE(reap(child, {}));
}

TEST(ProcessTest, RandomIsHexAndDiffers) {
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) {
    std::string text = random_hex(8);
    EXPECT_EQ(text.size(), 16u);
    EXPECT_EQ(text.find_first_not_of("0123456789abcdef"), std::string::npos);
    EXPECT_TRUE(seen.insert(text).second);
  }
  EXPECT_EQ(random_hex(0), "");
  EXPECT_EQ(random_hex(1000).size(), 2000u);
}

}  // namespace
}  // namespace ctrd
