// SPDX-License-Identifier: Apache-2.0
// Starting programs from a process that must never fork: posix_spawn (vfork semantics) and a pidfd.
// For the client side; the shim has its own launcher. A child starts with default signal
// dispositions (1..64 as far as glibc allows), an empty mask, and only the descriptors it is given.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/time.h"
#include "base/unique_fd.h"

namespace ctrd {

struct SpawnSpec {
  std::vector<std::string> argv =
      {};                             // argv[0] is a path, or a name looked up in the caller's PATH
  std::vector<std::string> env = {};  // "K=V"; exactly this, nothing inherited
  int cwd_dir = -1;                   // directory descriptor, -1: the caller's cwd
  std::vector<std::pair<int, int>> fds =
      {};  // ours -> the child's number; 0, 1, 2 not named are /dev/null; all else closed
  bool new_session = false;  // run_command then kills its whole process group
};

struct Child {
  pid_t pid = -1;
  UniqueFd pidfd;  // readable when it has ended; reap() still owed
};

// Throws kNotFound (kPath) for a missing program, kPermissionDenied when not executable, sys_error
// else.
Child spawn(const SpawnSpec& spec);

struct Exit {
  int status = 0;  // exit code, or 128 + signal
  int signal = 0;  // 0: exited
};
// Waits for and reaps this child by pid. nullopt at the deadline. A child that somebody else reaped
// is status 255.
std::optional<Exit> reap(const Child& child, const Wait& wait);

struct Output {
  Exit exit;
  std::string out;  // stdout, at most max_output bytes; the rest is read and thrown away
  std::string err;
  bool timed_out = false;  // it was killed at the deadline
};
// Runs a command to its end with `input` on stdin. At the deadline, or when interrupted (rethrown),
// it is SIGKILLed and reaped. kFailedPrecondition when SIGCHLD is ignored: its status would be
// lost.
Output run_command(SpawnSpec spec, const std::string& input, const Wait& wait,
                   std::size_t max_output = 1u << 20);

// Absolute path of a program: as it is if it has a slash, else looked up in PATH. nullopt: not
// there or not executable.
std::optional<std::string> find_program(const std::string& name);

}  // namespace ctrd
