// SPDX-License-Identifier: Apache-2.0
#include "engine/task_layer.h"

#include "base/error.h"
#include "base/files.h"
#include "engine/claim.h"
#include "engine/snapshot_layer.h"
#include "engine/snapshot_mount.h"
#include "engine/task.h"
#include "metadata/snapshots.h"

namespace ctrd::engine {
namespace {

using metadata::Snapshot;

// Upon a directory of the user's, the container's record says all (the bottom goes with the
// snapshot: Changes::pin): no second look into the store.
std::optional<Snapshot> known_layer(const metadata::Container& record) {
  if (record.snapshot_key != record.id || record.rootfs.empty()) return std::nullopt;
  Snapshot own;
  own.number = record.snapshot_number;
  own.bottom = record.rootfs;
  return own;
}

std::vector<Snapshot> chain_of(Core& core, const std::string& ns, const metadata::Container& record,
                               const Wait& wait) {
  if (auto own = known_layer(record)) return {*own};
  return metadata::Snapshots(core.containers.ledger(), record.snapshotter)
      .chain(ns, record.snapshot_key, wait);
}

}  // namespace

Snapshot own_layer(Core& core, const std::string& ns, const metadata::Container& record,
                   const Wait& wait) {
  if (auto own = known_layer(record)) return *own;
  return metadata::Snapshots(core.containers.ledger(), record.snapshotter)
      .stat(ns, record.snapshot_key, wait);
}

std::vector<Mount> task_mounts(Core& core, const std::string& ns, const metadata::Container& record,
                               const Wait& wait) {
  std::vector<Snapshot> chain = chain_of(core, ns, record, wait);
  if (chain[0].kind != metadata::kActive) return make_mounts(core, record.snapshotter, chain, wait);
  Layer layer = Layer::make(core, chain[0].number, wait);
  // Anybody may have mounted it by hand. A layer that is not on the disk yet costs no look.
  use_alone(core, layer, "snapshot \"" + record.snapshot_key + '"');
  settle(layer);
  return make_mounts(core, record.snapshotter, chain, wait);
}

bool has_task(Core& core, const std::string& ns, const std::string& id, const Wait& wait) {
  auto task = find_task(core, {ns, id, ""}, wait);
  if (task) return !task->exit;
  std::optional<Claim> claim;
  return claim_bundle(core, ns, id, wait.at_once(), &claim) == Claimed::kHeld;
}

BaseView open_base(Core& core, const std::string& ns, const std::string& snapshotter,
                   const std::string& key, const Wait& wait) {
  metadata::Snapshots records(core.containers.ledger(), snapshotter);
  auto chain = records.chain(ns, key, wait);
  std::vector<std::string> layers = layer_paths(core, snapshotter, chain);
  BaseView view;
  if (layers.size() == 1) {
    view.dir = open_dir(layers[0]);
  } else if (!layers.empty()) {
    view.mount = std::make_unique<SnapshotMount>(core, core.overlay.view(layers), std::nullopt,
                                                 shown_of(records, ns, key, chain, wait));
    view.dir = open_dir(view.mount->path());
  }
  return view;
}

}  // namespace ctrd::engine
