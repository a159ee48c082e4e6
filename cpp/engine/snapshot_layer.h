// SPDX-License-Identifier: Apache-2.0
// One snapshot's directory, <root>/snapshots/<n>, between processes. Its flock (a Layer) is held
// while it is made, committed or removed: for a moment. The flock of its fs/ is held as long as
// somebody has it mounted by SnapshotMount; the file `mounted` beside it says that this was begun,
// so that a mount that a killed process has left is looked for. A container's task has its layer
// by the container's claim.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/mount.h"
#include "engine/core.h"
#include "engine/fork.h"
#include "metadata/record.h"

namespace ctrd::engine {

class Layer {
 public:
  // Makes <n> if it is absent, empty.
  static Layer make(Core& core, uint64_t number, const Wait& wait);
  static std::optional<Layer> find(Core& core, uint64_t number, const Wait& wait);

  int dir() const { return dir_.get(); }
  uint64_t number() const { return number_; }

 private:
  Layer(LockFd dir, uint64_t number) : dir_(std::move(dir)), number_(number) {}

  LockFd dir_;
  uint64_t number_;
};

// chain: the snapshot's record, then its parents', as metadata::Snapshots::chain gives them. Makes
// what is missing in a layer that is held (nullptr: a view that needs none). kResourceExhausted
// beyond 128 layers.
std::vector<Mount> make_mounts(Core& core, const std::string& snapshotter,
                               const std::vector<metadata::Snapshot>& chain, const Wait& wait);
// <root>/snapshots/<n>/fs, absolute.
std::string layer_path(const Core& core, uint64_t number);
// The directories of a chain, top first: what a view of it shows.
std::vector<std::string> layer_paths(Core& core, const std::string& snapshotter,
                                     const std::vector<metadata::Snapshot>& chain);

// Throws kFailedPrecondition: somebody has it mounted. The lock says that we do, while it is held.
// look: in the mount table, for mounts that others made by hand.
LockFd use_alone(Core& core, const Layer& layer, const std::string& what, bool look = true);

// An overlay that was mounted volatile (Launch::make_volatile) has synced nothing and has left a
// mark in its work directory, with which the kernel refuses another. settle() syncs, then takes it
// away: for whoever has the layer while nothing is mounted of it.
bool is_unsettled(const Layer& layer);
void settle(const Layer& layer);

// Numbers of snapshots whose directories are mounted, also as lower ones and by hand, in this mount
// namespace, or by SnapshotMount in any: and where, in words.
std::map<uint64_t, std::string> layers_in_use(Core& core);

// For trash: absent is fine. Throws kFailedPrecondition while somebody has it.
void remove_layer(Core& core, uint64_t number);

}  // namespace ctrd::engine
