// SPDX-License-Identifier: Apache-2.0
#include "engine/snapshots.h"

#include <fcntl.h>
#include <unistd.h>

#include <map>

#include "base/error.h"
#include "base/files.h"
#include "base/identifier.h"
#include "base/log.h"
#include "engine/host.h"
#include "engine/snapshot_layer.h"
#include "engine/snapshot_mount.h"
#include "engine/task_layer.h"
#include "engine/verbs.h"

namespace ctrd::engine {
namespace {

using metadata::Snapshot;
using Chain = std::vector<Snapshot>;

constexpr uint64_t kNoNumber = UINT64_MAX;  // of none that is there

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

// Views upon something are mounted from what they stand upon, and what is committed is not mounted.
bool has_directory(const Snapshot& record) {
  return record.kind == metadata::kActive ||
         (record.kind == metadata::kView && record.parent.empty());
}

bool is_same(const std::optional<Snapshot>& one, const std::optional<Snapshot>& other) {
  if (!one || !other) return !one && !other;
  return one->number == other->number && one->kind == other->kind;
}

Error changed(const Place& place) {
  return Error(Code::kAborted,
               named(place.key) + ": somebody has committed, removed or mounted it meanwhile");
}

struct Held {
  Chain chain;
  std::optional<Layer> layer;
};

// With its directory, which nobody can remove meanwhile. kAborted: it is not `there` any more.
Held hold(Core& core, Place& place, const std::optional<Snapshot>& there, const Wait& wait) {
  Held held;
  if (there && has_directory(*there)) held.layer = Layer::make(core, there->number, wait);
  try {
    held.chain = place.records.chain(place.ns, place.key, wait);
    if (is_same(there, held.chain[0])) return held;
  } catch (const Error& error) {
    if (error.code() != Code::kNotFound || !there) throw;
  }
  // An empty one was made just now, for what somebody has removed.
  if (held.layer)
    ::unlinkat(core.root.snapshots.get(), std::to_string(there->number).c_str(), AT_REMOVEDIR);
  throw changed(place);
}

void need_mountable(const Place& place, const Chain& chain) {
  if (chain[0].kind == metadata::kCommitted)
    throw failed_precondition(named(place.key) + ": is committed, so it has no mounts");
}

SnapshotInfo info_of(const std::string& key, Snapshot record) {
  return {key, std::move(record), {}};
}

std::vector<Mount> mounts_of(Core& core, Place& place, const Held& held, const Wait& wait) {
  need_mountable(place, held.chain);
  if (held.chain[0].kind == metadata::kActive) {
    use_alone(core, *held.layer, named(place.key), false);
    if (is_unsettled(*held.layer) && !place.records.holder(place.ns, place.key, wait))
      settle(*held.layer);
  }
  return make_mounts(core, place.snapshotter, held.chain, wait);
}

// A container's task has it mounted where nobody sees it.
void need_no_task(Core& core, Place& place, const Wait& wait) {
  auto id = place.records.holder(place.ns, place.key, wait);
  if (id && has_task(core, place.ns, *id, wait))
    throw failed_precondition(named(place.key) + ": the task of container \"" + *id +
                              "\" has it mounted");
}

// What has no directory of its own, or is shown by views: no lock of its says that it is mounted.
void need_unmounted(const Place& place, uint64_t number,
                    const std::map<uint64_t, std::string>& in_use) {
  auto use = in_use.find(number);
  if (use != in_use.end()) throw failed_precondition(named(place.key) + ": it is " + use->second);
}

void sync_tree(const UniqueFd& fs) {
  if (::syncfs(fs.get()) < 0) throw sys_error("sync a snapshot");
}

bool is_there(Place& place, const std::optional<Snapshot>& record) {
  return is_same(record, place.records.find(place.ns, place.key, cleanup_wait()));
}

// What another process may have caused by what it did in between, a directory that has gone too.
bool may_be_others(const Error& error) {
  return error.code() == Code::kNotFound || error.code() == Code::kFailedPrecondition ||
         error.code() == Code::kDataLoss;
}

// attempt(record) with the record as it is. An error is told only if nobody has made, committed or
// removed it meanwhile; else it is tried again with what is there now.
template <class Attempt>
auto as_it_is(Place& place, const Wait& wait, Attempt attempt) {
  for (;;) {
    const std::optional<Snapshot> there = place.records.find(place.ns, place.key, wait);
    try {
      return attempt(there);
    } catch (const Error& error) {
      const bool is_changed = error.code() == Code::kAborted;
      if (!is_changed && (!may_be_others(error) || is_there(place, there))) throw;
    }
    wait.check();
  }
}

std::vector<metadata::Numbered> drop(Core& core, Place& place, uint64_t number, const Wait& wait) {
  auto check = [&] {  // whoever mounts it later looks at the records again
    std::map<uint64_t, std::string> noted;
    note_mounts(core, &noted);
    need_unmounted(place, number, noted);
  };
  return with_reserves(
      core.root, [&] { return place.records.remove(place.ns, place.key, wait, number, check); });
}

void empty(Core& core, const std::vector<metadata::Numbered>& trash) {
  with_reserves(core.root, [&] { empty_trash(core, {{}, trash}); });
}

// False: somebody has committed or removed it already.
bool drop_quietly(Core& core, Place& place, uint64_t number) {
  try {
    empty(core, drop(core, place, number, cleanup_wait()));
  } catch (const Error& error) {
    if (error.code() == Code::kNotFound || error.code() == Code::kAborted) return false;
    log(Level::kWarning, named(place.key) + " is left: " + error.what());
  } catch (const std::exception& error) {
    log(Level::kWarning, named(place.key) + " is left: " + error.what());
  }
  return true;
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
  const Snapshot made = kind == metadata::kActive
                            ? place.records.prepare(ref.ns, ref.key, parent, labels, wait)
                            : place.records.view(ref.ns, ref.key, parent, labels, wait);
  try {
    return mounts_of(core_, place, hold(core_, place, made, wait), wait);
  } catch (const Error& error) {
    // Mounted already, by somebody who was quicker than we: then it is his.
    const bool is_mounted = error.code() == Code::kFailedPrecondition;
    if (is_mounted || !drop_quietly(core_, place, made.number)) throw changed(place);
    throw;
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
  auto commit = [&](uint64_t number) {
    return info_of(name, place.records.commit(key.ns, name, key.key, labels, wait, {}, number));
  };
  return as_it_is(place, wait, [&](const std::optional<Snapshot>& there) {
    if (!there || there->kind != metadata::kActive) return commit(kNoNumber);  // which throws
    Held held = hold(core_, place, there, wait);
    LockFd alone = use_alone(core_, *held.layer, named(key.key));
    make_mounts(core_, place.snapshotter, held.chain, wait);
    sync_tree(open_dir_at(held.layer->dir(), "fs"));
    return commit(there->number);
  });
}

std::vector<Mount> Snapshots::mounts(const SnapshotRef& ref, const Wait& wait) {
  Place place(core_, ref, wait);
  return as_it_is(place, wait, [&](const std::optional<Snapshot>& there) {
    return mounts_of(core_, place, hold(core_, place, there, wait), wait);
  });
}

std::unique_ptr<SnapshotMount> Snapshots::mount(const SnapshotRef& ref,
                                                const std::optional<std::string>& target,
                                                const Wait& wait) {
  Place place(core_, ref, wait);
  return as_it_is(place, wait, [&](const std::optional<Snapshot>& there) {
    Held held = hold(core_, place, there, wait);
    need_mountable(place, held.chain);
    std::vector<Mount> mounts = make_mounts(core_, place.snapshotter, held.chain, wait);
    const Shown shown = shown_of(place.records, ref.ns, ref.key, held.chain, wait);
    if (held.chain[0].kind != metadata::kActive)
      return std::make_unique<SnapshotMount>(core_, mounts, target, shown);
    LockFd alone = use_alone(core_, *held.layer, named(ref.key));
    // Its task after the lock is seen by others: one that begins meanwhile looks at it once it has
    // its claim, so that one of the two refuses.
    need_no_task(core_, place, wait);
    settle(*held.layer);
    return std::make_unique<SnapshotMount>(core_, mounts, target, shown,
                                           open_dir_at(held.layer->dir(), "."), std::move(alone));
  });
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
  unmount_leftovers(core);
  empty(core, as_it_is(place, wait, [&](const std::optional<Snapshot>& there) {
          if (!there) return drop(core, place, kNoNumber, wait);  // which throws
          if (there->kind == metadata::kActive) {
            if (auto layer = Layer::find(core, there->number, wait))
              use_alone(core, *layer, named(ref.key));
          } else {
            need_unmounted(place, there->number, layers_in_use(core));
          }
          return drop(core, place, there->number, wait);
        }));
}

}  // namespace ctrd::engine
