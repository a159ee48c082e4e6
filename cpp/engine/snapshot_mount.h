// SPDX-License-Identifier: Apache-2.0
// A snapshot that this process has mounted, in its own mount namespace. <state>/.mnt-<ours>/target
// names the place before anything is mounted there, so that what a killed process has left mounted
// is found and unmounted.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/mount.h"
#include "engine/core.h"
#include "engine/fork.h"
#include "engine/snapshot_layer.h"

namespace ctrd::engine {

inline constexpr const char* kMountedMark = "mounted";  // in a layer's directory

// Not shared between threads; must not outlive its engine's core.
class SnapshotMount {
 public:
  // target: an existing directory, or a new one of ours. use: use_alone()'s of an active snapshot,
  // whose directory is layer; else none.
  SnapshotMount(Core& core, const std::vector<Mount>& mounts,
                const std::optional<std::string>& target, UniqueFd layer = {}, LockFd use = {});
  SnapshotMount(const SnapshotMount&) = delete;
  SnapshotMount& operator=(const SnapshotMount&) = delete;
  ~SnapshotMount();

  const std::string& path() const { return path_; }
  // kFailedPrecondition: something in it is in use, so it is mounted still. Safe twice; does
  // nothing in a forked child.
  void close();
  bool was_busy() const { return was_busy_; }  // close() was refused

 private:
  void mount(const std::vector<Mount>& mounts);
  void forget();

  UniqueFd state_;
  std::string name_, path_;
  UniqueFd layer_;  // its directory
  LockFd use_;
  std::size_t mounted_ = 0;
  const uint64_t generation_ = fork_generation();
  bool closed_ = false, was_busy_ = false;
};

// Where this snapshot's directory is mounted writably, in this mount namespace.
std::optional<std::string> find_mount(Core& core, uint64_t number);
// Somebody has something mounted by SnapshotMount, or left it so.
bool has_mounts(Core& core);
// Unmounts what processes that have ended left mounted, unless something in it is in use.
void unmount_leftovers(Core& core);

}  // namespace ctrd::engine
