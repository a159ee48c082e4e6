// SPDX-License-Identifier: Apache-2.0
#include "metadata/release.h"

#include "base/digest.h"
#include "base/time.h"
#include "metadata/leases.h"
#include "metadata/schema.h"
#include "metadata/snapshot_records.h"

namespace ctrd::metadata {

void Release::consider(const Object& object) {
  named_.insert(object);
  queue_.push_back(object);
}

void Release::forget(const Object& object, const Labels& labels) {
  changes_.relabel(ns_, object, labels, {});
  for (const LabelRef& ref : label_refs(labels))
    if (!ref.is_back) consider(ref.object);
  const std::string prefix = bref_prefix(ns_, path_of(object));
  changes_.scan_left(prefix, [&](std::string_view who) {
    if (auto kept = object_at(who)) consider(*kept);
    return true;
  });
}

Released Release::run() {
  while (!queue_.empty()) {
    Object object = std::move(queue_.back());
    queue_.pop_back();
    look_at(object);
  }
  return std::move(released_);
}

bool lease_holds(const store::View& view, std::string_view ns, std::string_view escaped) {
  auto bytes = view.find(lease_prefix(ns) + std::string(escaped));
  return bytes && !has_expired(decode_lease(unescaped_key(escaped), *bytes), wall_ns());
}

bool Release::is_kept(const Object& object, const Labels& labels) const {
  if (labels.contains(std::string(kRootLabel))) return true;
  for (const LabelRef& ref : label_refs(labels)) {
    std::string key = ref.is_back ? record_key(ns_, ref.object) : "";
    if (!key.empty() && changes_.has(key)) return true;
  }
  constexpr std::string_view kLease = "lease/";
  const std::string prefix = ref_prefix(ns_, path_of(object));
  bool kept = false;
  changes_.scan_left(prefix, [&](std::string_view who) {
    kept = !who.starts_with(kLease) || lease_holds(changes_.view(), ns_, who.substr(kLease.size()));
    return !kept;
  });
  return kept;
}

void Release::look_at(const Object& object) {
  if (object.kind == ObjectKind::kSnapshot) return look_at_snapshot(object);
  if (object.kind == ObjectKind::kContent) return look_at_blob(object);
  if (object.kind == ObjectKind::kIngest && !is_kept(object, {}))
    released_.ingests.push_back(object.key);
}

void Release::look_at_snapshot(const Object& object) {
  const SnapshotPlace place{ns_, object.snapshotter, object.key};
  if (changes_.is_gone(key_snapshot(place))) return;
  const auto record = find_snapshot(changes_.view(), place);
  if (!record || spared_.contains(record->number) || is_kept(object, record->labels)) return;
  released_.objects.push_back(object);
  released_.trash.push_back(remove_snapshot_record(changes_, place, *record));
  forget(object, record->labels);
  const Object parent{ObjectKind::kSnapshot, record->parent, object.snapshotter};
  if (named_.contains(parent)) queue_.push_back(parent);
}

void Release::look_at_blob(const Object& object) {
  const auto bytes = changes_.view().find(key_blob(ns_, object.key));
  if (!bytes || changes_.is_gone(key_blob(ns_, object.key))) return;
  const Blob record = decode_blob(object.key, *bytes);
  if (is_kept(object, record.labels)) return;
  released_.objects.push_back(object);
  if (auto trash = remove_blob_record(changes_, ns_, record))
    released_.trash.push_back(std::move(*trash));
  forget(object, record.labels);
}

Numbered remove_snapshot_record(Changes& changes, const SnapshotPlace& place,
                                const Snapshot& record) {
  erase_snapshot(changes, place, record);
  changes.publish(place.ns,
                  api::SnapshotRemove{std::string(place.key), std::string(place.snapshotter)});
  return throw_away(changes, record);
}

std::optional<Numbered> remove_blob_record(Changes& changes, std::string_view ns,
                                           const Blob& record) {
  const Object object{ObjectKind::kContent, record.digest};
  changes.erase(key_blob(ns, record.digest));
  changes.erase(key_blob_holder(record.digest, ns));
  changes.relabel(ns, object, record.labels, {});
  changes.publish(ns, api::ContentDelete{record.digest});
  if (changes.any_left(blob_holder_prefix(record.digest))) return std::nullopt;
  Numbered trash{changes.next_number("trash"), {"blob", std::string(hex_of(record.digest))}};
  changes.batch().put(key_trash(trash.first), encode(trash.second));
  return trash;
}

}  // namespace ctrd::metadata
