// SPDX-License-Identifier: Apache-2.0
#include "base/spawn.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <map>

#include "temp_dir.h"

namespace ctrd {
namespace {

struct Pipe {
  UniqueFd reader, writer;
  Pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) < 0) throw sys_error("pipe");
    reader.reset(ends[0]);
    writer.reset(ends[1]);
  }
};

// stdout of a command that ends by itself.
std::string output_of(SpawnSpec spec) {
  Output output = run_command(std::move(spec), "", {});
  EXPECT_EQ(output.exit.status, 0) << output.err;
  return output.out;
}

std::string shell(const std::string& script, SpawnSpec spec = {}) {
  spec.argv = {"/bin/sh", "-c", script};
  return output_of(std::move(spec));
}

// cat, which has echoed a line: so the program itself runs, and its loader has closed what it had
// open.
class Cat {
 public:
  explicit Cat(SpawnSpec spec = {}) {
    spec.argv = {"cat"};
    spec.fds.emplace_back(in_.reader.get(), 0);
    spec.fds.emplace_back(out_.writer.get(), 1);
    child_ = spawn(spec);
    char line[3] = {};
    EXPECT_EQ(::write(in_.writer.get(), "x\n", 2), 2);
    EXPECT_EQ(::read(out_.reader.get(), line, 2), 2);
  }
  ~Cat() {
    in_.writer.reset();
    reap(child_, {});
  }

  pid_t pid() const { return child_.pid; }

  // Number -> what it is, of all open descriptors.
  std::map<int, std::string> descriptors() const {
    std::string path = "/proc/" + std::to_string(pid()) + "/fd";
    UniqueFd dir = open_dir(path);
    std::map<int, std::string> result;
    for (const auto& name : list_dir(dir.get())) {
      char target[256] = {};
      EXPECT_GT(::readlinkat(dir.get(), name.c_str(), target, sizeof target - 1), 0);
      result[std::stoi(name)] = target;
    }
    return result;
  }

 private:
  Pipe in_, out_;
  Child child_;
};

TEST(SpawnTest, RunsAndReports) {
  Child child = spawn({.argv = {"/bin/sh", "-c", "exit 7"}});
  EXPECT_GT(child.pid, 0);
  auto exit = reap(child, {});
  ASSERT_TRUE(exit);
  EXPECT_EQ(exit->status, 7);
  EXPECT_EQ(exit->signal, 0);
}

TEST(SpawnTest, ReportsTheSignal) {
  Child child = spawn({.argv = {"sleep", "1000"}});
  EXPECT_FALSE(reap(child, {after(std::chrono::milliseconds(1)), {}}));
  ::kill(child.pid, SIGTERM);
  auto exit = reap(child, {});
  ASSERT_TRUE(exit);
  EXPECT_EQ(exit->status, 128 + SIGTERM);
  EXPECT_EQ(exit->signal, SIGTERM);
}

TEST(SpawnTest, SomebodyElseReaped) {
  Child child = spawn({.argv = {"true"}});
  ASSERT_EQ(::waitpid(child.pid, nullptr, 0), child.pid);
  EXPECT_EQ(reap(child, {})->status, 255);
  EXPECT_EQ(reap(Child{}, {})->status, 255);
}

TEST(SpawnTest, GivesExactlyTheEnvironment) {
  EXPECT_EQ(output_of({.argv = {"env"}, .env = {"A=1", "B=x y"}}), "A=1\nB=x y\n");
  EXPECT_EQ(output_of({.argv = {"env"}}), "");
}

TEST(SpawnTest, StartsInTheDirectory) {
  TempDir dir;
  EXPECT_EQ(output_of({.argv = {"pwd"}, .cwd_dir = dir.fd()}), real_path(dir.path()) + "\n");
  // Its number may be a target, too: it is used first.
  UniqueFd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(output_of({.argv = {"pwd"}, .cwd_dir = dir.fd(), .fds = {{null.get(), dir.fd()}}}),
            real_path(dir.path()) + "\n");
}

TEST(SpawnTest, PassesOnlyWhatIsNamed) {
  UniqueFd inherited(::open("/dev/null", O_RDONLY));  // without O_CLOEXEC, as foreign code opens
  Pipe pipe;
  Cat cat({.fds = {{pipe.writer.get(), 7}}});
  auto fds = cat.descriptors();
  ASSERT_EQ(fds.size(), 4u);
  EXPECT_TRUE(fds[0].starts_with("pipe:"));
  EXPECT_TRUE(fds[1].starts_with("pipe:"));
  EXPECT_EQ(fds[2], "/dev/null");
  EXPECT_TRUE(fds[7].starts_with("pipe:"));
}

TEST(SpawnTest, TargetsMayBeOthersSources) {
  TempDir dir;
  std::vector<UniqueFd> files;
  for (std::string name : {"a", "b", "c"}) {
    files.push_back(open_at(dir.fd(), name, O_RDWR | O_CREAT));
  }
  int a = files[0].get();
  int b = files[1].get();
  int c = files[2].get();
  Cat cat({.fds = {{a, b}, {b, c}, {c, a}}});  // a cycle
  auto fds = cat.descriptors();
  EXPECT_EQ(fds[b], dir.path("a"));
  EXPECT_EQ(fds[c], dir.path("b"));
  EXPECT_EQ(fds[a], dir.path("c"));
}

TEST(SpawnTest, ADescriptorMayKeepItsNumberOrHaveTwo) {
  TempDir dir;
  UniqueFd file = open_at(dir.fd(), "file", O_RDWR | O_CREAT);
  Cat cat({.fds = {{file.get(), file.get()}, {file.get(), 2}}});
  auto fds = cat.descriptors();
  EXPECT_EQ(fds[file.get()], dir.path("file"));
  EXPECT_EQ(fds[2], dir.path("file"));
}

TEST(SpawnTest, RefusesBadDescriptors) {
  SpawnSpec twice{.argv = {"true"}, .fds = {{0, 5}, {1, 5}}};
  EXPECT_EQ(code_of([&] { spawn(twice); }), Code::kInvalidArgument);
  SpawnSpec negative{.argv = {"true"}, .fds = {{0, -1}}};
  EXPECT_EQ(code_of([&] { spawn(negative); }), Code::kInvalidArgument);
  SpawnSpec closed{.argv = {"true"}, .fds = {{-1, 3}}};
  EXPECT_EQ(error_of([&] { spawn(closed); }).sys_errno(), EBADF);
  SpawnSpec nowhere{.argv = {"true"}, .cwd_dir = 1'000'000};
  EXPECT_EQ(error_of([&] { spawn(nowhere); }).sys_errno(), EBADF);
}

TEST(SpawnTest, SessionIsItsOwnOnlyWhenAsked) {
  Cat same;
  EXPECT_EQ(::getsid(same.pid()), ::getsid(0));
  Cat own({.new_session = true});
  EXPECT_EQ(::getsid(own.pid()), own.pid());
}

uint64_t signal_bits(const std::string& status, const std::string& field) {
  std::size_t at = status.find(field + ":\t");
  EXPECT_NE(at, std::string::npos);
  return std::stoull(status.substr(at + field.size() + 2, 16), nullptr, 16);
}

TEST(SpawnTest, SignalsAreAsInAFreshProcess) {
  struct sigaction ignore {};
  struct sigaction before {};
  ignore.sa_handler = SIG_IGN;
  ASSERT_EQ(::sigaction(SIGUSR1, &ignore, &before), 0);
  sigset_t term, old;
  ::sigemptyset(&term);
  ::sigaddset(&term, SIGTERM);
  ::sigaddset(&term, SIGRTMIN + 3);
  ASSERT_EQ(::pthread_sigmask(SIG_BLOCK, &term, &old), 0);
  std::string status = output_of({.argv = {"cat", "/proc/self/status"}});
  ::pthread_sigmask(SIG_SETMASK, &old, nullptr);
  ::sigaction(SIGUSR1, &before, nullptr);
  // 32 and 33 are glibc's own: it neither resets nor shows them, and whoever started us may ignore
  // them.
  constexpr uint64_t kInternal = uint64_t{3} << 31;
  EXPECT_EQ(signal_bits(status, "SigIgn") & ~kInternal, 0u);
  EXPECT_EQ(signal_bits(status, "SigBlk") & ~kInternal, 0u);
}

TEST(SpawnTest, WhoIgnoresSigchldCannotLearnAnExitStatus) {
  for (bool by_flag : {false, true}) {
    struct sigaction action {};
    struct sigaction before {};
    action.sa_handler = by_flag ? SIG_DFL : SIG_IGN;
    action.sa_flags = by_flag ? SA_NOCLDWAIT : 0;
    ASSERT_EQ(::sigaction(SIGCHLD, &action, &before), 0);
    Error error = error_of([&] { run_command({.argv = {"true"}}, "", {}); });
    ::sigaction(SIGCHLD, &before, nullptr);
    EXPECT_EQ(error.code(), Code::kFailedPrecondition);
    EXPECT_NE(error.message().find("SIGCHLD"), std::string::npos);
  }
}

TEST(SpawnTest, AMissingProgramIsNotFound) {
  for (std::string name : {"/nowhere/program", "no-such-program-here", "./missing"}) {
    Error error = error_of([&] { spawn({.argv = {name}}); });
    EXPECT_EQ(error.code(), Code::kNotFound);
    EXPECT_EQ(error.kind(), Kind::kPath);
    EXPECT_NE(error.message().find(name), std::string::npos);
  }
}

TEST(SpawnTest, WhatCannotRunIsSaid) {
  TempDir dir;
  create_file_at(dir.fd(), "plain", "#!/bin/sh\n", 0644);
  create_file_at(dir.fd(), "garbage", "\x01\x02", 0755);
  create_file_at(dir.fd(), "no-interpreter", "#!/nowhere/sh\n", 0755);
  auto code = [&](const std::string& name) {
    return code_of([&] { spawn({.argv = {dir.path(name)}}); });
  };
  EXPECT_EQ(code("plain"), Code::kPermissionDenied);
  EXPECT_EQ(code_of([&] { spawn({.argv = {dir.path()}}); }), Code::kPermissionDenied);
  EXPECT_EQ(code("garbage"), Code::kInvalidArgument);
  EXPECT_EQ(code("no-interpreter"), Code::kNotFound);
}

TEST(SpawnTest, RefusesBadWords) {
  std::string nul("a\0b", 3);
  EXPECT_EQ(code_of([&] { spawn({}); }), Code::kInvalidArgument);
  EXPECT_EQ(code_of([&] { spawn({.argv = {""}}); }), Code::kInvalidArgument);
  EXPECT_EQ(error_of([&] { spawn({.argv = {"true", nul}}); }).find("field"), "argv");
  EXPECT_EQ(error_of([&] { spawn({.argv = {"true"}, .env = {nul}}); }).find("field"), "env");
  EXPECT_EQ(code_of([&] {
              spawn({.argv = {"true", std::string(4 << 20, 'x')}});
            }),
            Code::kResourceExhausted);
}

TEST(SpawnTest, LeavesNoDescriptorBehind) {
  UniqueFd own = open_dir("/proc/self/fd");
  auto before = list_dir(own.get()).size();
  shell("exit 0");
  EXPECT_THROW(spawn({.argv = {"/nowhere/program"}}), Error);
  EXPECT_EQ(list_dir(own.get()).size(), before);
}

TEST(FindProgramTest, LooksInPath) {
  auto found = find_program("sh");
  ASSERT_TRUE(found);
  EXPECT_TRUE(found->starts_with('/'));
  EXPECT_TRUE(found->ends_with("/sh"));
  EXPECT_EQ(find_program("/bin/sh"), "/bin/sh");
  EXPECT_FALSE(find_program("no-such-program-here"));
  EXPECT_FALSE(find_program("/etc/passwd"));
  EXPECT_FALSE(find_program("/etc"));
  EXPECT_FALSE(find_program(""));
  EXPECT_FALSE(find_program(std::string("sh\0", 3)));
}

}  // namespace
}  // namespace ctrd
