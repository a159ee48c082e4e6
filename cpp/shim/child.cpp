// SPDX-License-Identifier: Apache-2.0
#include "shim/child.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

namespace ctrd::shim {
namespace {

constexpr uint32_t kLastSignal = 64;

}  // namespace

UniqueFd open_child(pid_t pid) {
  UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!pidfd) throw sys_error("opening a pidfd of process " + std::to_string(pid));
  return pidfd;
}

void check_signal(uint32_t signal) {
  if (signal > kLastSignal)
    throw invalid("signal", std::to_string(signal), "is not a signal's number");
}

void send_signal(const UniqueFd& pidfd, uint32_t signal, const std::string& who) {
  if (!pidfd) throw already_finished();
  check_signal(signal);
  if (::syscall(SYS_pidfd_send_signal, pidfd.get(), signal, nullptr, 0) == 0) return;
  if (errno == ESRCH) throw already_finished();
  throw sys_error("sending signal " + std::to_string(signal) + " to " + who);
}

void try_kill(const UniqueFd& pidfd) {
  if (pidfd) ::syscall(SYS_pidfd_send_signal, pidfd.get(), SIGKILL, nullptr, 0);
}

Error already_finished() {
  return Error(Code::kNotFound, "process already finished", Kind::kProcess);
}

Error no_child_of(const std::string& runtime, pid_t pid) {
  return Error(Code::kInternal,
               "the runtime exited 0 with a pid file that names no child of it: " +
                   std::to_string(pid),
               Kind::kRuntime)
      .with("runtime", runtime);
}

}  // namespace ctrd::shim
