// SPDX-License-Identifier: Apache-2.0
// One dump of a task, for a checkpoint and for a fork: the task is held frozen by its shim for as
// long as our connection lasts, so that memory and layer are of one moment, and nothing stays
// frozen if this process dies.
#pragma once

#include <string>

#include "engine/checkpoint.h"
#include "engine/checkpoint_files.h"
#include "engine/new_checkpoint.h"
#include "engine/task.h"
#include "ttrpc/client.h"

namespace ctrd::engine {

// What can be refused before anything is looked at: options, and that its place is free.
void check_checkpoint(Core& core, const std::string& ns, const CheckpointOptions& options,
                      const Wait& wait);
// Throws kFailedPrecondition: it has ended; kUnimplemented: its shim is not ours.
Task get_task_to_dump(Core& core, const TaskRef& ref, const Wait& wait);
// The container's record, with the spec that the task was made of.
metadata::Full get_as_it_runs(Core& core, const Task& task, const Wait& wait);
// What the network brings meanwhile matters only to connections that are kept; to lock it takes as
// long as all the rest.
bool skips_network_lock(Core& core, const std::string& tcp, const Wait& wait);
// The task is frozen for this, and runs again when it has ended.
class Held {
 public:
  // Throws kFailedPrecondition if somebody else has it.
  Held(const Task& task, const Wait& wait);
  Held(const Held&) = delete;
  ~Held();

  // options: api::CheckpointOptions and api::CriuOptions, encoded.
  void dump(const std::string& images, std::string options, const Wait& wait);
  // Throws kFailedPrecondition: SIGKILL has thawed it.
  void check_frozen() const;

 private:
  bool is_frozen() const;
  void await_thaw() const;

  const Task& task_;
  const bool was_frozen_;
  UniqueFd socket_;
};
// Memory into made's images, its layer into made's layer. It never ends the task. Throws as
// checkpoint_task.
void dump_task(Core& core, const Task& task, const metadata::Container& record, NewCheckpoint& made,
               const CheckpointOptions& options, Held* held, const Wait& wait);
// What is told of a dump of this container, made now. Sizes and digests: NewCheckpoint::seal.
metadata::Checkpoint describe_dump(Core& core, const std::string& ns, const metadata::Container& of,
                                   const CheckpointOptions& options, const Wait& wait);

}  // namespace ctrd::engine
