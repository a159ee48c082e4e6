// SPDX-License-Identifier: Apache-2.0
#include "metadata/snapshot_records.h"

#include "base/error.h"

namespace ctrd::metadata {

std::string named(const SnapshotPlace& place) {
  return "snapshot \"" + escaped(place.key, 128) + '"';
}

std::optional<Snapshot> find_snapshot(const store::View& view, const SnapshotPlace& place) {
  auto bytes = view.find(key_snapshot(place));
  if (!bytes) return std::nullopt;
  return decode_snapshot(*bytes);
}

Snapshot get_snapshot(const store::View& view, const SnapshotPlace& place) {
  auto record = find_snapshot(view, place);
  if (record) return std::move(*record);
  throw not_found(Kind::kNone, named(place) + ": not found in namespace " + std::string(place.ns));
}

Object object_of(const SnapshotPlace& place) {
  return {ObjectKind::kSnapshot, std::string(place.key), std::string(place.snapshotter)};
}

void put_snapshot(Changes& changes, const SnapshotPlace& place, const Snapshot& record,
                  const Labels& before) {
  changes.need_namespace(place.ns);
  changes.put(key_snapshot(place), encode(record));
  changes.relabel(place.ns, object_of(place), before, record.labels);
  if (record.parent.empty()) return;
  changes.put(key_snapshot_ref({place.ns, place.snapshotter, record.parent}, "snap", place.key),
              "");
}

void erase_snapshot(Changes& changes, const SnapshotPlace& place, const Snapshot& record) {
  changes.erase(key_snapshot(place));
  changes.relabel(place.ns, object_of(place), record.labels, {});
  if (record.parent.empty()) return;
  changes.erase(key_snapshot_ref({place.ns, place.snapshotter, record.parent}, "snap", place.key));
}

Numbered throw_away(Changes& changes, const Snapshot& record) {
  Numbered trash{changes.next_number("trash"), {"snapshot", std::to_string(record.number)}};
  changes.batch().put(key_trash(trash.first), encode(trash.second));
  return trash;
}

}  // namespace ctrd::metadata
