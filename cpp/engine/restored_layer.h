// SPDX-License-Identifier: Apache-2.0
// The layer of a checkpoint in the container that goes on from it: <root>/snapshots/
// .restored-<instance>. The task has it mounted in the place of the container's own, which stays
// what it is, whatever fails or dies, until the task has been started: then the shim lets the two
// change places, and that name is of what was replaced. It goes with the start, or with the bundle.
#pragma once

#include <string>
#include <vector>

#include "base/mount.h"
#include "engine/core.h"

namespace ctrd::engine {

struct Restoration;  // launch.h

std::string restored_layer_path(const Core& core, const std::string& instance);
// The bundle names the instance already, and has its claim.
void make_restored_layer(const Core& core, const std::string& instance, const Restoration& from,
                         const Wait& wait);
// Puts it into the mounts of a task, for the own layer `number`.
void mount_restored_layer(const std::string& instance, uint64_t number, std::vector<Mount>* mounts);
// Absent is fine; what cannot be removed now goes with the bundle, or with a recovery.
void remove_restored_layer(const Core& core, const std::string& instance);
// The instances that have one, among the names in snapshots/.
std::vector<std::string> restored_layers(const std::vector<std::string>& names);

}  // namespace ctrd::engine
