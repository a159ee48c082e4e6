// SPDX-License-Identifier: Apache-2.0
// A container's layer: what a task has mounted as its root filesystem, and what a spec is made
// upon.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/mount.h"
#include "engine/core.h"

namespace ctrd::engine {

class SnapshotMount;

// The record of a container's layer: its parent, or what is at its bottom.
metadata::Snapshot own_layer(Core& core, const std::string& ns, const metadata::Container& record,
                             const Wait& wait);
// For whoever has the bundle's claim. Throws kFailedPrecondition: somebody else has it mounted.
std::vector<Mount> task_mounts(Core& core, const std::string& ns, const metadata::Container& record,
                               const Wait& wait);
// A task of it lives, or is being made: somebody has the bundle's claim.
bool has_task(Core& core, const std::string& ns, const std::string& id, const Wait& wait);

// The files of a snapshot, to look at.
struct BaseView {
  std::unique_ptr<SnapshotMount> mount;  // if it has more than one layer
  UniqueFd dir;
};
// Throws kNotFound (field snapshot).
BaseView open_base(Core& core, const std::string& ns, const std::string& snapshotter,
                   const std::string& key, const Wait& wait);

}  // namespace ctrd::engine
