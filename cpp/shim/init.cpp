// SPDX-License-Identifier: Apache-2.0
#include "shim/init.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <initializer_list>

namespace ctrd::shim {
namespace {

// In a process group of its own, in front of the terminal if there is one: Ctrl-C is for it and not
// for us. All signals are still blocked, SIGTTOU too.
[[noreturn]] void become(char** argv, const sigset_t& mask) {
  ::setpgid(0, 0);
  if (::isatty(STDIN_FILENO)) ::tcsetpgrp(STDIN_FILENO, ::getpgrp());
  ::sigprocmask(SIG_SETMASK, &mask, nullptr);
  ::execvp(argv[0], argv);
  int err = errno;
  ::dprintf(STDERR_FILENO, "ctrd-init: \"%s\": %s\n", argv[0], ::strerror(err));
  ::_exit(err == ENOENT ? 127 : 126);
}

// So that who reads the program's output sees its end when the program closes it.
void let_go_of_stdio() {
  int fd = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  for (int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::dup2(fd, stream);
  ::close(fd);
}

// -1: it lives.
int reap(pid_t program) {
  int code = -1, status = 0;
  for (pid_t pid; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
    if (pid != program) continue;
    code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  return code;
}

}  // namespace

int run_init(char** argv) {
  sigset_t all, mask;
  ::sigfillset(&all);
  ::sigprocmask(SIG_BLOCK, &all, &mask);
  pid_t program = ::fork();
  if (program == 0) become(argv, mask);
  if (program < 0) {
    ::dprintf(STDERR_FILENO, "ctrd-init: fork: %s\n", ::strerror(errno));
    return 126;
  }
  let_go_of_stdio();
  for (;;) {
    int signal = ::sigwaitinfo(&all, nullptr);
    if (signal == SIGCHLD) {
      int code = reap(program);
      if (code >= 0) return code;
    } else if (signal > 0 && signal != SIGTTIN && signal != SIGTTOU) {
      ::kill(program, signal);
    }
  }
}

}  // namespace ctrd::shim
