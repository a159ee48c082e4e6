// SPDX-License-Identifier: Apache-2.0
#include "base/cgroup.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <functional>

#include "base/process.h"
#include "base/spawn.h"
#include "temp_dir.h"

namespace ctrd {
namespace {

using std::chrono::seconds;

bool write_file(const std::string& path, const std::string& value) {
  UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  return fd && ::write(fd.get(), value.data(), value.size()) == static_cast<ssize_t>(value.size());
}

std::string read_path(const std::string& dir, const std::string& name) {
  return find_file_at(open_dir(dir).get(), name).value_or("");
}

// A cgroup of the test's own in every hierarchy that lets us; gone afterwards, whatever the test
// did.
class CgroupTest : public testing::Test {
 protected:
  void SetUp() override {
    if (make(path_) == 0) GTEST_SKIP() << "no cgroup hierarchy here can be written";
  }
  void TearDown() override {
    for (const auto& dir : cgroup_dirs(path_)) write_file(dir + "/freezer.state", "THAWED");
    kill_cgroup(path_, {after(seconds(30)), {}});
    for (const auto& child : children_) {
      ::kill(child.pid, SIGKILL);
      reap(child, {});
    }
    EXPECT_TRUE(cgroup_dirs(path_).empty());
  }

  static std::size_t make(const std::string& path) {
    std::size_t made = 0;
    for (const auto& mount : cgroup_mounts()) {
      if (::mkdir((mount + path).c_str(), 0755) != 0) continue;
      ++made;
      std::string above = (mount + path).substr(0, (mount + path).rfind('/'));
      for (std::string name :
           {"/cpuset.cpus", "/cpuset.mems"})  // v1: empty, and so no task allowed
        if (::access((mount + path + name).c_str(), W_OK) == 0)
          write_file(mount + path + name, read_path(above, name.substr(1)));
    }
    return made;
  }

  // A process of ours in this cgroup, in all hierarchies that take it. It does nothing before it is
  // in all of them.
  pid_t start(const std::string& path, const std::string& script = "exec sleep 1000") {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) < 0) throw sys_error("pipe");
    UniqueFd reader(ends[0]);
    UniqueFd writer(ends[1]);
    children_.push_back(spawn({.argv = {"/bin/sh", "-c", "read line; " + script},
                               .env = {"PATH=/usr/bin:/bin"},
                               .fds = {{reader.get(), 0}}}));
    pid_t pid = children_.back().pid;
    bool any = false;
    for (const auto& dir : cgroup_dirs(path))
      any |= write_file(dir + "/cgroup.procs", std::to_string(pid));
    EXPECT_TRUE(any);
    EXPECT_EQ(::write(writer.get(), "go\n", 3), 3);
    return pid;
  }

  bool has_ended(std::size_t index) {
    pollfd entry{children_[index].pidfd.get(), POLLIN, 0};
    return ::poll(&entry, 1, 0) == 1;
  }

  std::string path_ = "/ctrd-test-" + random_hex(6);
  std::vector<Child> children_;
};

Wait patient() { return {after(seconds(60)), {}}; }

TEST_F(CgroupTest, FindsItselfAndItsProcesses) {
  EXPECT_FALSE(cgroup_dirs(path_).empty());
  EXPECT_TRUE(cgroup_pids(path_).empty());
  make(path_ + "/sub");
  pid_t first = start(path_);
  pid_t second = start(path_ + "/sub");
  std::vector<pid_t> expected{first, second};
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(cgroup_pids(path_), expected);
  EXPECT_EQ(cgroup_pids(path_ + "/sub"), std::vector<pid_t>{second});
  EXPECT_TRUE(cgroup_pids(path_ + "-other").empty());
  EXPECT_TRUE(cgroup_dirs(path_ + "-other").empty());
}

TEST_F(CgroupTest, KillsAllAndRemovesAll) {
  make(path_ + "/a");
  make(path_ + "/a/b");
  start(path_);
  start(path_ + "/a");
  start(path_ + "/a/b");
  EXPECT_TRUE(kill_cgroup(path_, patient()));
  for (std::size_t i = 0; i < children_.size(); ++i) EXPECT_TRUE(has_ended(i));
  EXPECT_TRUE(cgroup_dirs(path_).empty());
  EXPECT_TRUE(kill_cgroup(path_, patient()));  // nothing there is fine
}

TEST_F(CgroupTest, KillsWhatIgnoresAllElse) {
  start(path_, "trap '' TERM INT HUP; while :; do sleep 1000; done");
  EXPECT_TRUE(kill_cgroup(path_, patient()));
  EXPECT_TRUE(has_ended(0));
}

TEST_F(CgroupTest, KillsManyThatFork) {
  // Orphans that sleep, and shells that do nothing but fork; a bounded number, should the test
  // itself break.
  start(path_,
        "n=0; while [ $n -lt 500 ]; do n=$((n+1)); (sleep 1000 & exit 0); done; "
        "while :; do sleep 0; done");
  pollfd none{-1, 0, 0};
  while (cgroup_pids(path_).size() < 20)
    poll_until({&none, 1}, {after(std::chrono::milliseconds(1)), {}});
  EXPECT_TRUE(kill_cgroup(path_, patient()));
  EXPECT_TRUE(has_ended(0));
}

// With fewer descriptors than processes; the limit is only lowered.
TEST_F(CgroupTest, SignalsEachMemberAndNobodyElse) {
  make(path_ + "/sub");
  make(path_ + "-other");
  for (int i = 0; i < 5; ++i) start(i % 2 ? path_ : path_ + "/sub");
  start(path_ + "-other");
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  std::vector<UniqueFd> free(12);
  for (auto& one : free) one.reset(::open("/", O_PATH | O_CLOEXEC));
  rlimit few{static_cast<rlim_t>(free.back().get()), before.rlim_max};
  free.clear();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  std::size_t signalled = signal_members(path_, SIGKILL);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(signalled, 5u);
  for (std::size_t i = 0; i < 5; ++i) EXPECT_TRUE(reap(children_[i], patient()));
  EXPECT_FALSE(has_ended(5));
  EXPECT_EQ(signal_members(path_, SIGKILL), 0u);
  EXPECT_TRUE(kill_cgroup(path_ + "-other", patient()));
}

TEST_F(CgroupTest, ThawsAFrozenOneFirst) {
  start(path_);
  bool has_freezer = false;
  for (const auto& dir : cgroup_dirs(path_)) {
    has_freezer |= write_file(dir + "/freezer.state", "FROZEN");
    has_freezer |= write_file(dir + "/cgroup.freeze", "1");
  }
  if (!has_freezer) GTEST_SKIP() << "no freezer in any hierarchy";
  pollfd none{-1, 0, 0};
  while (!cgroup_frozen(path_)) poll_until({&none, 1}, {after(std::chrono::milliseconds(1)), {}});
  EXPECT_TRUE(kill_cgroup(path_, patient()));
  EXPECT_TRUE(has_ended(0));
  EXPECT_FALSE(cgroup_frozen(path_));
}

TEST_F(CgroupTest, IsNotFrozenByItself) { EXPECT_FALSE(cgroup_frozen(path_)); }

TEST_F(CgroupTest, ADeadlineThatHasPassedStillTriesOnce) {
  EXPECT_TRUE(kill_cgroup(path_, {after(Nanos(-1)), {}}));
}

TEST(CgroupPathTest, OnlyOursAreKilled) {
  for (std::string path :
       {"", "/", "ctrd-x", "/docker/x", "/ctrd", "/ctrd-a/../..", "/ctrd-a/./b", "/..", "//ctrd-a"})
    for (const auto& f : {std::function<void()>([&] { kill_cgroup(path, {}); }),
                          std::function<void()>([&] { signal_members(path, 0); })})
      EXPECT_EQ(code_of(f), Code::kInvalidArgument) << path;
  for (std::string path : {"", "/", "//", "/a/../b", ".."}) {
    EXPECT_EQ(code_of([&] { cgroup_pids(path); }), Code::kInvalidArgument) << path;
    EXPECT_EQ(code_of([&] { cgroup_dirs(path); }), Code::kInvalidArgument) << path;
    EXPECT_EQ(code_of([&] { cgroup_frozen(path); }), Code::kInvalidArgument) << path;
  }
}

TEST(CgroupPathTest, EachHierarchyOnce) {
  auto mounts = cgroup_mounts();
  std::sort(mounts.begin(), mounts.end());
  EXPECT_EQ(std::adjacent_find(mounts.begin(), mounts.end()), mounts.end());
}

}  // namespace
}  // namespace ctrd
