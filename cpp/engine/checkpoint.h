// SPDX-License-Identifier: Apache-2.0
// Checkpoints: a frozen task's memory images, spec and layer, in a directory of the user's or
// stored by name; and containers made of them. Values and verbs for the bindings. Source: design.md
// 10, semantics.md S11.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/engine.h"

namespace ctrd::engine {

struct Core;

// Stored under a name, or in a directory of the user's: one of the two.
struct CheckpointPlace {
  std::string name, path;
};
struct CheckpointOptions {
  CheckpointPlace to;          // neither: a name is made up
  bool exit = false;           // end the task, once the checkpoint stands
  std::string tcp = "refuse";  // what happens to established connections: "close", "keep"
  bool unix_sockets = false, terminal = false, file_locks = true;
  std::vector<std::string> empty_namespaces = {};
  std::map<std::string, std::string> labels = {};
};
struct CheckpointInfo {
  std::string name, path;  // path: absolute, also of a stored one
  std::string container_id, image, runtime, tcp;
  int64_t created_ns = 0;
  uint64_t size = 0;
  std::map<std::string, std::string> labels = {};
};
// What is not said is as the checkpointed container's was; the id is made up.
struct RestoreOptions {
  CheckpointPlace from;
  std::string id = {};
  bool replace = false, detached = false, delete_on_exit = false;
  std::optional<std::string> hostname = {};  // else the id, if the hostname was the old id
  std::optional<std::map<std::string, std::string>> labels = {};
  std::string runtime = {};
  std::string tcp = {};  // "": what the checkpoint was told
  bool allow_untrusted = false, allow_other_kernel = false;
};

// The engine has recovered. Throws as every verb does.
Core& core_of(Engine& engine, const Wait& wait);

// Throws kFailedPrecondition (kTask) unless it runs or is paused, and as the shim's criu_error():
// then the task is as it was, and nothing is left. The layer is copied while it is frozen.
CheckpointInfo checkpoint_task(Engine& engine, const TaskRef& ref, const CheckpointOptions& options,
                               const Wait& wait);
// A copy of one that this root has made, stored under a name or in a directory that it will know
// again. Throws as checkpoint_task and restore_container do.
CheckpointInfo copy_checkpoint(Engine& engine, const std::string& ns, const CheckpointPlace& from,
                               const CheckpointPlace& to, const Wait& wait);
CheckpointInfo get_checkpoint(Engine& engine, const std::string& ns, const CheckpointPlace& place,
                              const Wait& wait);
// Fields of the filters: metadata/adaptors.h.
std::vector<CheckpointInfo> list_checkpoints(Engine& engine, const std::string& ns,
                                             const std::vector<std::string>& filters,
                                             const Wait& wait);
bool delete_checkpoint(Engine& engine, const std::string& ns, const std::string& name,
                       bool missing_ok, const Wait& wait);
// A new container with the layer of the checkpoint, without a task.
ContainerInfo restore_container(Engine& engine, const std::string& ns,
                                const RestoreOptions& options, const Wait& wait);
// A task of this container, which Start restores; its layer becomes the checkpoint's.
NewTask create_restored_task(Engine& engine, const TaskRef& ref, const Stdio& stdio,
                             const RestoreOptions& options, const Wait& wait);

}  // namespace ctrd::engine
