// SPDX-License-Identifier: Apache-2.0
// Copies of a running task: it is dumped once, and every copy is restored from these images, which
// are gone once the last one runs (or has failed). They lie in a checkpoint's directory that never
// gets its name, locked by this process: what a killed one has left, the next engine removes.
// Not os.fork(): fork.h.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "engine/engine.h"

namespace ctrd::engine {

struct ForkOptions {
  std::vector<std::string> ids;  // of the copies; "": made up
  bool keep_going = false;       // a copy that fails takes no other with it
};
// One copy, which runs, or what it failed with.
struct Forked {
  ContainerInfo container;
  NewTask task;
  std::optional<Error> failure;
};

// In order of the ids; connections are closed in the copies, and the task goes on. Without
// keep_going the first failure is thrown, and no copy is left; what concerns the dump, or an id, is
// thrown anyway, before anything is made. Throws as checkpoint_task; kAlreadyExists;
// kInvalidArgument (ids).
std::vector<Forked> fork_task(Engine& engine, const TaskRef& ref, const ForkOptions& options,
                              const Wait& wait);

}  // namespace ctrd::engine
