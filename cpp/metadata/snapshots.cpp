// SPDX-License-Identifier: Apache-2.0
#include "metadata/snapshots.h"

#include <algorithm>
#include <iterator>

#include "base/error.h"
#include "base/identifier.h"
#include "base/time.h"
#include "metadata/adaptors.h"
#include "metadata/fields.h"
#include "metadata/mask.h"
#include "metadata/release.h"
#include "metadata/snapshot_records.h"

namespace ctrd::metadata {
namespace {

using store::View;

constexpr std::size_t kMaxKey = 1024;    // a key of the store, and of its references
constexpr std::size_t kMaxChain = 4096;  // beyond that a chain has a ring in it

void check_key(std::string_view field, std::string_view key) {
  if (key.empty()) throw invalid(field, key, "must not be empty");
  if (key.size() > kMaxKey) throw invalid(field, key, "must be at most 1024 bytes");
}

void check_parent(const View& view, const SnapshotPlace& parent) {
  if (get_snapshot(view, parent).kind != kCommitted)
    throw invalid("parent", parent.key, "is not committed");
}

// A container that has it, "" if none.
std::string holder_of(const View& view, const SnapshotPlace& place) {
  std::string prefix = snapshot_ref_prefix(place) + "c/", holder;
  view.scan_prefix(prefix, [&](std::string_view key, std::string_view) {
    holder = key.substr(prefix.size());
    return false;
  });
  return holder;
}

void need_unpinned(const View& view, const SnapshotPlace& place) {
  std::string holder = holder_of(view, place);
  if (!holder.empty())
    throw failed_precondition(named(place) + ": container \"" + holder + "\" has it");
}

void need_same(const SnapshotPlace& place, const Snapshot& there, uint64_t number) {
  if (number && there.number != number)
    throw Error(Code::kAborted, named(place) + ": has changed meanwhile");
}

void need_childless(const View& view, const SnapshotPlace& place) {
  std::string prefix = snapshot_ref_prefix(place) + "snap/", child;
  view.scan_prefix(prefix, [&](std::string_view key, std::string_view) {
    child = key.substr(prefix.size());
    return false;
  });
  if (!child.empty())
    throw failed_precondition(named(place) + ": snapshot \"" + unescaped_key(child) +
                              "\" stands upon it");
}

// The label of containerd's remote snapshots: the committed one that it names, if it is there.
std::optional<std::string> find_remote(const View& view, SnapshotPlace place,
                                       const Labels& labels) {
  auto target = labels.find(kSnapshotRefLabel);
  if (target == labels.end() || target->second.empty()) return std::nullopt;
  place.key = target->second;
  auto there = find_snapshot(view, place);
  return there && there->kind == kCommitted ? std::optional(target->second) : std::nullopt;
}

Error there_already(const SnapshotPlace& place) {
  return Error(Code::kAlreadyExists,
               named(place) + ": already exists in namespace " + std::string(place.ns));
}

}  // namespace

Snapshot Snapshots::make(SnapshotKind kind, std::string_view ns, const std::string& key,
                         const std::string& parent, Labels labels, const Wait& wait) {
  check_namespace(ns);
  check_key("key", key);
  check_labels(labels);
  const SnapshotPlace place{ns, snapshotter_, key};
  Snapshot made;
  std::string there;
  ledger_->change(wait, [&](Changes& changes) {
    const View& view = changes.view();
    there = view.find(key_snapshot(place)) ? key : find_remote(view, place, labels).value_or("");
    changes.join(ns, lease_, {ObjectKind::kSnapshot, there.empty() ? key : there, snapshotter_});
    if (!there.empty()) return;
    if (!parent.empty()) check_parent(view, SnapshotPlace{ns, snapshotter_, parent});
    made = {};
    made.kind = kind;
    made.parent = parent;
    made.labels = labels;
    drop_empty(made.labels);
    made.number = changes.next_number("snap");
    made.created_ns = made.updated_ns = wall_ns();
    put_snapshot(changes, place, made);
    if (kind == kActive) changes.publish(ns, api::SnapshotPrepare{key, parent, snapshotter_});
  });
  if (!there.empty()) throw there_already({ns, snapshotter_, there});
  return made;
}

Snapshot Snapshots::prepare(std::string_view ns, const std::string& key, const std::string& parent,
                            Labels labels, const Wait& wait) {
  return make(kActive, ns, key, parent, std::move(labels), wait);
}

Snapshot Snapshots::view(std::string_view ns, const std::string& key, const std::string& parent,
                         Labels labels, const Wait& wait) {
  return make(kView, ns, key, parent, std::move(labels), wait);
}

Snapshot Snapshots::commit(std::string_view ns, const std::string& name, const std::string& key,
                           Labels labels, const Wait& wait, const std::string& parent,
                           uint64_t number) {
  check_namespace(ns);
  check_key("name", name);
  check_key("key", key);
  check_labels(labels);
  Snapshot made;
  ledger_->change(wait, [&](Changes& changes) {
    const View& view = changes.view();
    if (view.find(key_snapshot({ns, snapshotter_, name})))
      throw there_already({ns, snapshotter_, name});
    made = get_snapshot(view, SnapshotPlace{ns, snapshotter_, key});
    if (made.kind != kActive)
      throw failed_precondition(named(SnapshotPlace{ns, snapshotter_, key}) + ": is not active");
    need_unpinned(view, SnapshotPlace{ns, snapshotter_, key});
    need_same(SnapshotPlace{ns, snapshotter_, key}, made, number);
    if (!parent.empty() && parent != made.parent) {
      if (!made.parent.empty()) throw invalid("parent", parent, "cannot be changed");
      check_parent(view, SnapshotPlace{ns, snapshotter_, parent});
    }
    erase_snapshot(changes, SnapshotPlace{ns, snapshotter_, key}, made);
    changes.leave(ns, lease_, {ObjectKind::kSnapshot, key, snapshotter_});
    changes.join(ns, lease_, {ObjectKind::kSnapshot, name, snapshotter_});
    if (!parent.empty()) made.parent = parent;
    made.kind = kCommitted;
    made.labels = labels;
    drop_empty(made.labels);
    made.created_ns = made.updated_ns = wall_ns();
    put_snapshot(changes, SnapshotPlace{ns, snapshotter_, name}, made);
    changes.publish(ns, api::SnapshotCommit{key, name, snapshotter_});
  });
  return made;
}

std::optional<Snapshot> Snapshots::find(std::string_view ns, const std::string& key,
                                        const Wait& wait) {
  check_namespace(ns);
  std::optional<Snapshot> found;
  ledger_->read(wait, [&](const View& view) {
    found = find_snapshot(view, SnapshotPlace{ns, snapshotter_, key});
  });
  return found;
}

Snapshot Snapshots::stat(std::string_view ns, const std::string& key, const Wait& wait) {
  check_namespace(ns);
  Snapshot found;
  ledger_->read(wait, [&](const View& view) {
    found = get_snapshot(view, SnapshotPlace{ns, snapshotter_, key});
  });
  return found;
}

std::vector<std::pair<std::string, Snapshot>> Snapshots::list(std::string_view ns,
                                                              const Filter& filter,
                                                              const Wait& wait) {
  check_namespace(ns);
  std::vector<std::pair<std::string, Snapshot>> found;
  std::string prefix = snapshot_prefix(ns, snapshotter_);
  ledger_->read(wait, [&](const View& view) {
    view.scan_prefix(prefix, [&](std::string_view key, std::string_view bytes) {
      std::string name = unescaped_key(key.substr(prefix.size()));
      Snapshot record = decode_snapshot(bytes);
      auto field = [&](const FieldPath& path) { return find_field(name, record, path); };
      if (filter.matches(field)) found.emplace_back(std::move(name), std::move(record));
      return true;
    });
  });
  std::ranges::sort(found, {}, &std::pair<std::string, Snapshot>::first);  // escaping disturbs it
  return found;
}

Snapshot Snapshots::update(std::string_view ns, const std::string& key, const LabelChange& labels,
                           const Wait& wait,
                           const std::optional<std::vector<std::string>>& fields) {
  check_namespace(ns);
  check_key("name", key);
  Snapshot now;
  ledger_->change(wait, [&](Changes& changes) {
    now = get_snapshot(changes.view(), SnapshotPlace{ns, snapshotter_, key});
    const Labels before = now.labels;
    Mask mask(fields, Mask::kOnlyLabels);
    mask.apply("labels", labels, now.labels);
    check_labels(now.labels);
    drop_empty(now.labels);
    now.updated_ns = wall_ns();
    put_snapshot(changes, SnapshotPlace{ns, snapshotter_, key}, now, before);
  });
  return now;
}

std::vector<Numbered> Snapshots::remove(std::string_view ns, const std::string& key,
                                        const Wait& wait, uint64_t number,
                                        const std::function<void()>& check) {
  check_namespace(ns);
  std::vector<Numbered> trash;
  ledger_->change(wait, [&](Changes& changes) {
    const View& view = changes.view();
    Snapshot there = get_snapshot(view, SnapshotPlace{ns, snapshotter_, key});
    need_same(SnapshotPlace{ns, snapshotter_, key}, there, number);
    need_childless(view, SnapshotPlace{ns, snapshotter_, key});
    need_unpinned(view, SnapshotPlace{ns, snapshotter_, key});
    if (check) check();
    changes.batch().use_reserve();
    const SnapshotPlace place{ns, snapshotter_, key};
    trash = {remove_snapshot_record(changes, place, there)};
    changes.leave(ns, lease_, object_of(place));
    Release release(changes, ns);
    release.forget(object_of(place), there.labels);
    std::ranges::move(release.run().trash, std::back_inserter(trash));
  });
  return trash;
}

std::optional<std::string> Snapshots::holder(std::string_view ns, const std::string& key,
                                             const Wait& wait) {
  check_namespace(ns);
  std::string id;
  ledger_->read(wait, [&](const View& view) {
    id = holder_of(view, SnapshotPlace{ns, snapshotter_, key});
  });
  return id.empty() ? std::nullopt : std::optional(std::move(id));
}

std::map<std::string, std::string> Snapshots::holders(std::string_view ns, const Wait& wait) {
  check_namespace(ns);
  std::map<std::string, std::string> found;
  const std::string prefix = snapshot_refs_prefix(ns, snapshotter_);
  ledger_->read(wait, [&](const View& view) {
    view.scan_prefix(prefix, [&](std::string_view key, std::string_view) {
      key.remove_prefix(prefix.size());
      std::size_t slash = key.find('/');
      if (key.substr(slash).starts_with("/c/"))
        found[unescaped_key(key.substr(0, slash))] = key.substr(slash + 3);
      return true;
    });
  });
  return found;
}

std::vector<Snapshot> Snapshots::chain(std::string_view ns, const std::string& key,
                                       const Wait& wait) {
  check_namespace(ns);
  std::vector<Snapshot> records;
  ledger_->read(wait, [&](const View& view) {
    for (std::string at_key = key; !at_key.empty(); at_key = records.back().parent) {
      if (records.size() == kMaxChain)
        throw damaged(named(SnapshotPlace{ns, snapshotter_, key}), "its parents are a ring");
      records.push_back(get_snapshot(view, SnapshotPlace{ns, snapshotter_, at_key}));
    }
  });
  return records;
}

}  // namespace ctrd::metadata
