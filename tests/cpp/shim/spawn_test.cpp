// SPDX-License-Identifier: Apache-2.0
#include "shim/spawn.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>

#include "shim/fifo.h"
#include "shim/harness.h"

namespace ctrd::shim {
namespace {

struct KernelSigaction {
  void (*handler)(int) = SIG_DFL;
  unsigned long flags = 0;
  void (*restorer)() = nullptr;
  uint64_t mask = 0;
};

// Ignores a signal for the test's time, glibc's own two as well.
class Ignored {
 public:
  explicit Ignored(int signal) : signal_(signal) {
    KernelSigaction ignore;
    ignore.handler = SIG_IGN;
    ::syscall(SYS_rt_sigaction, signal_, &ignore, &before_, sizeof(uint64_t));
  }
  ~Ignored() { ::syscall(SYS_rt_sigaction, signal_, &before_, nullptr, sizeof(uint64_t)); }

 private:
  int signal_;
  KernelSigaction before_;
};

std::string output_of(const std::vector<std::string>& argv) {
  auto [ours, theirs] = output_pipe();
  UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  Spawned child = spawn(argv, {null.get(), theirs.get(), null.get()});
  EXPECT_EQ(child.launch_errno, 0);
  theirs.reset();
  std::string text = read_to_end(ours.get());
  EXPECT_EQ(::waitpid(child.pid, nullptr, 0), child.pid);
  return text;
}

TEST(Spawn, ResetsEverySignalEvenGlibcsOwn) {
  Ignored a(32), b(33), c(SIGUSR1), d(SIGPIPE), e(64);
  sigset_t set, before;
  sigfillset(&set);
  ASSERT_EQ(::sigprocmask(SIG_BLOCK, &set, &before), 0);
  std::string text =
      output_of({"/bin/busybox", "grep", "-E", "^Sig(Blk|Ign|Cgt)", "/proc/self/status"});
  ASSERT_EQ(::sigprocmask(SIG_SETMASK, &before, nullptr), 0);
  std::string zero = ":\t0000000000000000\n";
  EXPECT_EQ(text, "SigBlk" + zero + "SigIgn" + zero + "SigCgt" + zero);
}

TEST(Spawn, GivesThreeDescriptorsAndPath) {
  UniqueFd leaky(::fcntl(UniqueFd(::open("/dev/null", O_RDONLY)).get(), F_DUPFD, 50));
  std::string names = output_of({"/bin/busybox", "ls", "/proc/self/fd"});
  EXPECT_TRUE(names.starts_with("0\n1\n2\n")) << names;
  EXPECT_EQ(names.find("50"), std::string::npos) << names;
  std::string env = output_of({"/bin/busybox", "env"});
  EXPECT_TRUE(env.starts_with("PATH="));
  EXPECT_EQ(env.find('\n'), env.size() - 1);
}

TEST(Spawn, RunsInAGroupOfItsOwn) {
  std::string stat = output_of({"/bin/busybox", "cat", "/proc/self/stat"});
  int pid = 0, parent = 0, group = 0;
  ASSERT_EQ(std::sscanf(stat.c_str(), "%d (%*[^)]) %*c %d %d", &pid, &parent, &group), 3);
  EXPECT_EQ(parent, ::getpid());
  EXPECT_EQ(group, pid);
}

TEST(Spawn, SaysWhyItCouldNot) {
  EXPECT_EQ(spawn({"/no/such/program"}, {0, 1, 2}).launch_errno, ENOENT);
  EXPECT_EQ(spawn({"/etc/passwd"}, {0, 1, 2}).launch_errno, EACCES);
  while (::waitpid(-1, nullptr, 0) > 0) continue;
}

}  // namespace
}  // namespace ctrd::shim
