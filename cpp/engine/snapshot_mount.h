// SPDX-License-Identifier: Apache-2.0
// A snapshot that this process has mounted, in its own mount namespace. <state>/.mnt-<ours>/target
// names the place before anything is mounted there, so that what a killed process has left mounted
// is found and unmounted; /layers beside it names what it shows, which others see from any mount
// namespace and leave alone.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/mount.h"
#include "engine/core.h"
#include "engine/fork.h"
#include "engine/snapshot_layer.h"
#include "metadata/snapshots.h"

namespace ctrd::engine {

inline constexpr const char* kMountedMark = "mounted";  // in a layer's directory

// What a mount shows. Once its layers are noted nobody takes them, so what is there then stays.
struct Shown {
  std::vector<uint64_t> layers;       // numbers; its own, then its parents'
  std::function<void()> check_again;  // throws: one of them has gone before
};
// chain: as records.chain() gave it. All arguments must outlive what is returned.
Shown shown_of(const metadata::Snapshots& records, const std::string& ns, const std::string& key,
               const std::vector<metadata::Snapshot>& chain, const Wait& wait);

// Not shared between threads; must not outlive its engine's core.
class SnapshotMount {
 public:
  // target: an existing directory, or a new one of ours. use: use_alone()'s of an active snapshot,
  // whose directory is layer; else none.
  SnapshotMount(Core& core, const std::vector<Mount>& mounts,
                const std::optional<std::string>& target, const Shown& shown, UniqueFd layer = {},
                LockFd use = {});
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
// Numbers of what is mounted by SnapshotMount in any mount namespace, or left so: and where, in
// words. Only reads <state>.
void note_mounts(const Core& core, std::map<uint64_t, std::string>* found);
// Unmounts what processes that have ended left mounted, unless something in it is in use.
void unmount_leftovers(Core& core);

}  // namespace ctrd::engine
