// SPDX-License-Identifier: Apache-2.0
// The snapshot verbs: records (metadata/snapshots.h) with their directories (room snapshot). A
// record comes first and its directory at first use, so a crash in between leaves nothing half
// made; what is removed is trash in the same batch, and its directory goes afterwards. Nothing has
// an upper directory mounted twice: snapshot_layer.h. Source: semantics.md S9, S12; reliability.md
// B14.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/mount.h"
#include "engine/engine.h"
#include "metadata/snapshots.h"
#include "snapshot/usage.h"

namespace ctrd::engine {

struct Core;
class SnapshotMount;

// Which one. snapshotter: "overlay" (or containerd's word, "overlayfs"), "native"; "" or "auto":
// the engine's, else that of the namespace's label, else overlay if it works here, else native.
struct SnapshotRef {
  std::string ns, key, snapshotter = {};
  std::string lease = {};  // that what is made, or was there, belongs to; "": none
};

struct SnapshotInfo {
  std::string key;
  metadata::Snapshot record;
  std::string container = {};  // that has it, from list() only
};

// Every snapshotter's name, as it is in records.
std::string snapshotter_name(std::string_view wanted);  // throws kUnimplemented
// The same of "" and "auto": overlay if it works here, else native.
std::string resolve_snapshotter(Core& core, const std::string& wanted, const Wait& wait);
std::string pick_snapshotter(Core& core, const std::string& ns, const std::string& wanted,
                             const Wait& wait);

// Record, references and directory. Throws kNotFound; kFailedPrecondition: others stand upon it, a
// container has it, or it is mounted. Works on a full disk.
void remove_snapshot(Core& core, const SnapshotRef& ref, const Wait& wait);

class Snapshots {
 public:
  explicit Snapshots(Core& core) : core_(core) {}

  // Errors as in metadata/snapshots.h; then nothing of it is left, also when the disk is full. And
  // kAborted: it was made, and another process has committed or removed it since.
  std::vector<Mount> prepare(const SnapshotRef& ref, const std::string& parent,
                             const Labels& labels, const Wait& wait);
  std::vector<Mount> view(const SnapshotRef& ref, const std::string& parent, const Labels& labels,
                          const Wait& wait);
  // On the disk when it returns. kFailedPrecondition also while it is mounted.
  SnapshotInfo commit(const std::string& name, const SnapshotRef& key, const Labels& labels,
                      const Wait& wait);
  // kFailedPrecondition: it is committed; or active, and somebody has it mounted by mount().
  std::vector<Mount> mounts(const SnapshotRef& ref, const Wait& wait);
  // Mounts it in this process's mount namespace, on a directory of its own or on target. An active
  // one once only: kFailedPrecondition if anybody has it mounted, its container's task too.
  std::unique_ptr<SnapshotMount> mount(const SnapshotRef& ref,
                                       const std::optional<std::string>& target, const Wait& wait);
  SnapshotInfo stat(const SnapshotRef& ref, const Wait& wait);
  // Of its own directory, without its parents'; of native a whole copy is its own.
  snapshot::Usage usage(const SnapshotRef& ref, const Wait& wait);
  SnapshotInfo update(const SnapshotRef& ref, const LabelChange& labels,
                      const std::optional<std::vector<std::string>>& fields, const Wait& wait);
  // In order of keys, one view.
  std::vector<SnapshotInfo> list(const std::string& ns, const std::string& snapshotter,
                                 const std::vector<std::string>& filters, const Wait& wait);
  void remove(const SnapshotRef& ref, const Wait& wait) { remove_snapshot(core_, ref, wait); }

 private:
  std::vector<Mount> make(metadata::SnapshotKind kind, const SnapshotRef& ref,
                          const std::string& parent, const Labels& labels, const Wait& wait);

  Core& core_;
};

}  // namespace ctrd::engine
