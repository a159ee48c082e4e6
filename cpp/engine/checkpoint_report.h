// SPDX-License-Identifier: Apache-2.0
// What a checkpoint would fail of, found before anything is frozen: in /proc of the task's
// processes. It looks at what CRIU 4.1 refuses, not at all that it might.
#pragma once

#include <string>
#include <vector>

#include "engine/checkpoint.h"

namespace ctrd::engine {

struct CheckpointProblem {
  // "host", "exec", "terminal", "unix_socket", "tcp_connection", "network_socket", "host_file",
  // "file_lock", "namespace", "traced"
  std::string kind;
  int pid = 0;           // as the host sees it; 0: no process's
  std::string what;      // in words
  std::string option;    // of checkpoint, that allows it: "terminal=True"; "": none does
  bool is_fatal = true;  // else it succeeds, without that
};

// By kind and pid; none fatal: a checkpoint with these options should succeed. Throws as
// checkpoint_task where that throws before it freezes anything.
std::vector<CheckpointProblem> checkpoint_problems(Engine& engine, const TaskRef& ref,
                                                   const CheckpointOptions& options,
                                                   const Wait& wait);

}  // namespace ctrd::engine
