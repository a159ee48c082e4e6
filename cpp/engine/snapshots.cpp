// SPDX-License-Identifier: Apache-2.0
#include "engine/snapshots.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/error.h"
#include "base/files.h"
#include "base/identifier.h"
#include "base/log.h"
#include "base/text.h"
#include "engine/host.h"
#include "engine/snapshot_layer.h"
#include "engine/snapshot_mount.h"
#include "engine/task_layer.h"
#include "engine/verbs.h"

namespace ctrd::engine {
namespace {

using metadata::Snapshot;
using Chain = std::vector<Snapshot>;

std::string named(const std::string& key) { return "snapshot \"" + escaped(key, 128) + '"'; }

metadata::Snapshots records_of(Core& core, const std::string& snapshotter,
                               const std::string& lease = {}) {
  return {core.containers.ledger(), snapshotter, lease};
}

// What a verb works on: the ref with its snapshotter's own name.
struct Place {
  Place(Core& core, const SnapshotRef& ref, const Wait& wait)
      : ns(ref.ns),
        key(ref.key),
        snapshotter(pick_snapshotter(core, ref.ns, ref.snapshotter, wait)),
        records(records_of(core, snapshotter, ref.lease)) {}
  const std::string &ns, &key;
  const std::string snapshotter;
  metadata::Snapshots records;
};

// Views upon something are mounted from what they stand upon.
bool has_directory(const Chain& chain) {
  return chain[0].kind != metadata::kView || chain.size() == 1;
}

// An empty directory that was made for a snapshot that somebody has removed just then.
void unmake(Core& core, const Layer& layer) {
  ::unlinkat(core.root.snapshots.get(), std::to_string(layer.number()).c_str(), AT_REMOVEDIR);
}

struct Held {
  Chain chain;
  std::optional<Layer> layer;
};

// With its directory, which nobody can remove meanwhile.
Held hold(Core& core, Place& place, const Wait& wait) {
  for (;;) {
    Held held{place.records.chain(place.ns, place.key, wait), {}};
    if (held.chain[0].kind == metadata::kCommitted || !has_directory(held.chain)) return held;
    held.layer = Layer::make(core, held.chain[0].number, wait);
    auto now = place.records.find(place.ns, place.key, wait);
    if (now && now->number == held.chain[0].number && now->kind == held.chain[0].kind) return held;
    unmake(core, *held.layer);
    if (!now) place.records.stat(place.ns, place.key, wait);  // throws kNotFound
  }
}

void need_mountable(const Place& place, const Chain& chain) {
  if (chain[0].kind == metadata::kCommitted)
    throw failed_precondition(named(place.key) + ": is committed, so it has no mounts");
}

SnapshotInfo info_of(const std::string& key, Snapshot record) {
  return {key, std::move(record), {}};
}

// A container's task has it mounted where nobody sees it.
void need_no_task(Core& core, Place& place, const Wait& wait) {
  auto id = place.records.holder(place.ns, place.key, wait);
  if (id && has_task(core, place.ns, *id, wait))
    throw failed_precondition(named(place.key) + ": the task of container \"" + *id +
                              "\" has it mounted");
}

// Of those that have no directory of their own, or that views show: no lock of theirs says so.
void need_unmounted(Core& core, uint64_t number, const std::string& what) {
  unmount_leftovers(core);
  const auto in_use = layers_in_use(core);
  auto use = in_use.find(number);
  if (use != in_use.end()) throw failed_precondition(what + ": it is " + use->second);
}

void sync_tree(const UniqueFd& fs) {
  if (::syncfs(fs.get()) < 0) throw sys_error("sync a snapshot");
}

void drop(Core& core, Place& place, uint64_t number, const Wait& wait) {
  auto trash = with_reserves(
      core.root, [&] { return place.records.remove(place.ns, place.key, wait, number); });
  with_reserves(core.root, [&] { empty_trash(core, {{}, trash}); });
}

void drop_quietly(Core& core, Place& place, uint64_t number) {
  try {
    drop(core, place, number, cleanup_wait());
  } catch (const std::exception& error) {
    log(Level::kWarning, named(place.key) + " is left: " + error.what());
  }
}

}  // namespace

std::string snapshotter_name(std::string_view wanted) {
  if (wanted == metadata::kOverlay || wanted == "overlayfs") return metadata::kOverlay;
  if (wanted == metadata::kNative) return metadata::kNative;
  throw Error(Code::kUnimplemented,
              "snapshotter \"" + escaped(wanted, 64) + "\": there are overlay and native")
      .with("field", "snapshotter")
      .with("value", escaped(wanted, 64));
}

std::string resolve_snapshotter(Core& core, const std::string& wanted, const Wait& wait) {
  if (!wanted.empty() && wanted != "auto") return snapshotter_name(wanted);
  bool works = probed_overlay(core, wait).ok || probed_overlay(core, wait, true).ok;
  return works ? metadata::kOverlay : metadata::kNative;
}

std::string pick_snapshotter(Core& core, const std::string& ns, const std::string& wanted,
                             const Wait& wait) {
  check_namespace(ns);
  for (const std::string& asked : {wanted, core.config.snapshotter})
    if (!asked.empty() && asked != "auto") return snapshotter_name(asked);
  metadata::Labels labels = core.namespaces.labels(ns, wait);
  return resolve_snapshotter(core, labels[metadata::kDefaultSnapshotterLabel], wait);
}

std::vector<Mount> Snapshots::make(metadata::SnapshotKind kind, const SnapshotRef& ref,
                                   const std::string& parent, const Labels& labels,
                                   const Wait& wait) {
  Place place(core_, ref, wait);
  if (place.snapshotter == metadata::kOverlay) need_overlay(core_, wait);
  Snapshot made = kind == metadata::kActive
                      ? place.records.prepare(ref.ns, ref.key, parent, labels, wait)
                      : place.records.view(ref.ns, ref.key, parent, labels, wait);
  try {
    return mounts({ref.ns, ref.key, place.snapshotter}, wait);
  } catch (...) {
    drop_quietly(core_, place, made.number);
    throw;
  }
}

std::vector<Mount> Snapshots::prepare(const SnapshotRef& ref, const std::string& parent,
                                      const Labels& labels, const Wait& wait) {
  return make(metadata::kActive, ref, parent, labels, wait);
}

std::vector<Mount> Snapshots::view(const SnapshotRef& ref, const std::string& parent,
                                   const Labels& labels, const Wait& wait) {
  return make(metadata::kView, ref, parent, labels, wait);
}

SnapshotInfo Snapshots::commit(const std::string& name, const SnapshotRef& key,
                               const Labels& labels, const Wait& wait) {
  Place place(core_, key, wait);
  auto there = place.records.find(key.ns, key.key, wait);
  if (!there || there->kind != metadata::kActive)  // which throws
    return info_of(name, place.records.commit(key.ns, name, key.key, labels, wait));
  Held held = hold(core_, place, wait);
  if (!held.layer) throw Error(Code::kAborted, named(key.key) + ": has changed meanwhile");
  LockFd alone = use_alone(core_, *held.layer, named(key.key));
  make_mounts(core_, place.snapshotter, held.chain, wait);
  sync_tree(open_dir_at(held.layer->dir(), "fs"));
  return info_of(
      name, place.records.commit(key.ns, name, key.key, labels, wait, {}, held.layer->number()));
}

std::vector<Mount> Snapshots::mounts(const SnapshotRef& ref, const Wait& wait) {
  Place place(core_, ref, wait);
  Held held = hold(core_, place, wait);
  need_mountable(place, held.chain);
  if (held.chain[0].kind == metadata::kActive) use_alone(core_, *held.layer, named(ref.key), false);
  return make_mounts(core_, place.snapshotter, held.chain, wait);
}

std::unique_ptr<SnapshotMount> Snapshots::mount(const SnapshotRef& ref,
                                                const std::optional<std::string>& target,
                                                const Wait& wait) {
  Place place(core_, ref, wait);
  Held held = hold(core_, place, wait);
  need_mountable(place, held.chain);
  std::vector<Mount> mounts = make_mounts(core_, place.snapshotter, held.chain, wait);
  const Shown shown = shown_of(place.records, ref.ns, ref.key, held.chain, wait);
  if (held.chain[0].kind != metadata::kActive)
    return std::make_unique<SnapshotMount>(core_, mounts, target, shown);
  LockFd alone = use_alone(core_, *held.layer, named(ref.key));
  // Its task after the lock is seen by others: one that begins meanwhile looks at it once it has
  // its claim, so that one of the two refuses.
  need_no_task(core_, place, wait);
  return std::make_unique<SnapshotMount>(core_, mounts, target, shown,
                                         open_dir_at(held.layer->dir(), "."), std::move(alone));
}

SnapshotInfo Snapshots::stat(const SnapshotRef& ref, const Wait& wait) {
  Place place(core_, ref, wait);
  return info_of(ref.key, place.records.stat(ref.ns, ref.key, wait));
}

snapshot::Usage Snapshots::usage(const SnapshotRef& ref, const Wait& wait) {
  Place place(core_, ref, wait);
  Snapshot record = place.records.stat(ref.ns, ref.key, wait);
  auto fs = find_dir_at(core_.root.snapshots.get(), std::to_string(record.number) + "/fs");
  return fs ? snapshot::usage_of(fs->get(), wait) : snapshot::Usage{};
}

SnapshotInfo Snapshots::update(const SnapshotRef& ref, const LabelChange& labels,
                               const std::optional<std::vector<std::string>>& fields,
                               const Wait& wait) {
  Place place(core_, ref, wait);
  return info_of(ref.key, place.records.update(ref.ns, ref.key, labels, wait, fields));
}

std::vector<SnapshotInfo> Snapshots::list(const std::string& ns, const std::string& snapshotter,
                                          const std::vector<std::string>& filters,
                                          const Wait& wait) {
  const metadata::Filter filter(filters);
  metadata::Snapshots records = records_of(core_, pick_snapshotter(core_, ns, snapshotter, wait));
  auto holders = records.holders(ns, wait);
  std::vector<SnapshotInfo> found;
  for (auto& [key, record] : records.list(ns, filter, wait)) {
    auto holder = holders.find(key);
    found.push_back({key, std::move(record), holder == holders.end() ? "" : holder->second});
  }
  return found;
}

void remove_snapshot(Core& core, const SnapshotRef& ref, const Wait& wait) {
  Place place(core, ref, wait);
  Snapshot record = place.records.stat(ref.ns, ref.key, wait);
  if (record.kind == metadata::kActive) {
    auto layer = Layer::find(core, record.number, wait);
    if (layer) use_alone(core, *layer, named(ref.key));
  } else {
    need_unmounted(core, record.number, named(ref.key));
  }
  drop(core, place, record.number, wait);
}

std::vector<uint64_t> orphaned_layers(Core& core, const Wait& wait) {
  std::vector<uint64_t> found;
  std::vector<std::string> names = list_dir(core.root.snapshots.get());  // before the records
  std::set<uint64_t> known = metadata::Snapshots::numbers(*core.containers.ledger(), wait);
  for (const std::string& name : names) {
    auto number = to_number(name);
    if (number && !known.contains(*number)) found.push_back(*number);
  }
  return found;
}

}  // namespace ctrd::engine
