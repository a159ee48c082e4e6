// SPDX-License-Identifier: Apache-2.0
#include "shim/spawn.h"

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

// clang-format off: this order, or Boost 1.81 does not compile with std::filesystem
#define BOOST_PROCESS_USE_STD_FS
#include <boost/optional.hpp>
#include <boost/type_traits.hpp>
// clang-format on
#include <boost/asio/io_context.hpp>
#include <boost/process/v2/posix/vfork_launcher.hpp>
#include <boost/process/v2/process.hpp>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "shim/descriptor_limit.h"

namespace ctrd::shim {
namespace {

namespace process = boost::process::v2;

constexpr int kSignals = 64;

// The kernel's struct sigaction. Raw calls, because glibc's sigaction refuses 32 and 33.
struct KernelSigaction {
  void (*handler)(int) = SIG_DFL;
  unsigned long flags = 0;
  void (*restorer)() = nullptr;
  uint64_t mask = 0;
};

// Runs between vfork and exec, in the parent's memory: only system calls.
void reset_signals() {
  KernelSigaction action;
  for (int signal = 1; signal <= kSignals; ++signal)
    ::syscall(SYS_rt_sigaction, signal, &action, nullptr, sizeof(action.mask));
  uint64_t none = 0;
  ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, nullptr, sizeof(none));
}

bool place(const std::vector<int>& fds) {
  for (std::size_t target = 0; target < fds.size(); ++target)
    if (::dup2(fds[target], static_cast<int>(target)) < 0) return false;
  return true;
}

// Boost's hooks. The child of a vfork writes into our memory, so the error is simply left here.
class Setup {
 public:
  explicit Setup(const Program& program) : program_(program), parent_(::getpid()) {}

  process::error_code on_exec_setup(process::posix::default_launcher& /*launcher*/,
                                    const process::filesystem::path& /*executable*/,
                                    const char* const* /*argv*/) {
    ::setpgid(0, 0);
    reset_signals();
    restore_descriptor_limit();
    bool placed = ::prctl(PR_SET_PDEATHSIG, program_.death_signal) == 0 && ::getppid() == parent_ &&
                  place(program_.fds);
    return placed ? process::error_code{}
                  : process::error_code(errno, boost::system::system_category());
  }

  // Instead of exit(), which would run the parent's atexit handlers in the parent's memory.
  // (Boost 1.81 asks for one signature and calls another.)
  template <typename... Any>
  void on_exec_error(Any&&... /*unused*/) {
    error_ = errno == 0 ? EINVAL : errno;
    ::_exit(127);
  }

  int error() const { return error_; }

 private:
  const Program& program_;
  pid_t parent_;
  int error_ = 0;
};

}  // namespace

Spawned spawn(const Program& program) {
  // A context of its own: the launcher tells its services of the fork in the child too, in our
  // memory.
  boost::asio::io_context context(1);
  std::vector<const char*> env;
  for (const std::string& one : program.env) env.push_back(one.c_str());
  env.push_back(nullptr);
  const std::string& path = program.argv.front();
  std::vector<std::string> args(program.argv.begin() + 1, program.argv.end());
  Setup setup(program);
  process::posix::vfork_launcher launcher;
  launcher.env = env.data();
  for (std::size_t fd = launcher.fd_whitelist.size(); fd < program.fds.size(); ++fd)
    launcher.fd_whitelist.push_back(static_cast<int>(fd));
  process::error_code error;
  auto child =
      launcher(context.get_executor(), error, process::filesystem::path(path), args, setup);
  pid_t pid = launcher.pid;
  child.detach();  // its destructor would kill and reap
  if (pid < 0) return {.pid = -1, .launch_errno = error ? error.value() : EAGAIN};
  return {.pid = pid, .launch_errno = setup.error()};
}

Spawned spawn(const std::vector<std::string>& argv, const std::array<int, 3>& stdio,
              const std::vector<std::string>& env) {
  const char* path = std::getenv("PATH");
  Program program{.argv = argv, .fds = {stdio.begin(), stdio.end()}, .env = env};
  program.env.push_back(std::string("PATH=") +
                        (path != nullptr ? path : "/usr/sbin:/usr/bin:/sbin:/bin"));
  return spawn(program);
}

}  // namespace ctrd::shim
