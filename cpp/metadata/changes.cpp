// SPDX-License-Identifier: Apache-2.0
#include "metadata/changes.h"

#include "base/error.h"
#include "base/time.h"
#include "metadata/fields.h"
#include "metadata/outbox.h"
#include "metadata/owners.h"
#include "metadata/release.h"
#include "metadata/schema.h"
#include "metadata/snapshot_records.h"
#include "metadata/snapshots.h"

namespace ctrd::metadata {
namespace {

SnapshotPlace place_of(std::string_view ns, const Container& record) {
  return {ns, record.snapshotter, record.snapshot_key};
}

Object object_of(const Container& record) { return {ObjectKind::kContainer, record.id}; }

}  // namespace

std::optional<Container> find_container(const store::View& view, std::string_view ns,
                                        std::string_view id) {
  auto bytes = view.find(key_container(ns, id));
  if (!bytes) return std::nullopt;
  return decode_container(id, *bytes);
}

Container get_container(const store::View& view, std::string_view ns, std::string_view id) {
  auto record = find_container(view, ns, id);
  if (record) return std::move(*record);
  throw not_found(Kind::kContainer, "container \"" + std::string(id) +
                                        "\": not found in namespace " + std::string(ns));
}

std::string get_spec(const store::View& view, std::string_view ns, std::string_view id) {
  auto bytes = view.find(key_spec(ns, id));
  if (bytes) return unpack_spec(*bytes);
  throw damaged("container \"" + std::string(id) + '"', "it has no spec");
}

bool any_key(const store::View& view, const std::string& prefix) {
  bool found = false;
  view.scan_prefix(prefix, [&](std::string_view, std::string_view) {
    found = true;
    return false;
  });
  return found;
}

std::vector<std::string> find_namespaces(const store::View& view) {
  std::vector<std::string> names;
  view.scan_prefix(namespaces_prefix(), [&](std::string_view key, std::string_view) {
    names.push_back(id_of(key));
    return true;
  });
  return names;
}

void Changes::put(const std::string& key, std::string value) {
  gone_.erase(key);
  put_.insert(key);
  batch_.put(key, std::move(value));
}

void Changes::erase(const std::string& key) {
  gone_.insert(key);
  put_.erase(key);
  batch_.erase(key);
}

bool Changes::has(const std::string& key) const {
  return put_.contains(key) || (!gone_.contains(key) && view_.find(key).has_value());
}

void Changes::scan_left(const std::string& prefix,
                        const std::function<bool(std::string_view)>& f) const {
  bool goes_on = true;
  view_.scan_prefix(prefix, [&](std::string_view key, std::string_view) {
    if (!gone_.contains(key) && !put_.contains(key)) goes_on = f(key.substr(prefix.size()));
    return goes_on;
  });
  for (auto key = put_.lower_bound(prefix); goes_on && key != put_.end(); ++key)
    goes_on = key->starts_with(prefix) && f(std::string_view(*key).substr(prefix.size()));
}

bool Changes::any_left(const std::string& prefix) const {
  bool found = false;
  scan_left(prefix, [&](std::string_view) {
    found = true;
    return false;
  });
  return found;
}

void Changes::relabel(std::string_view ns, const Object& object, const Labels& before,
                      const Labels& after) {
  for (const std::string& key : label_keys(ns, object, before)) erase(key);
  for (const std::string& key : label_keys(ns, object, after)) put(key, "");
}

void Changes::join(std::string_view ns, std::string_view lease, const Object& object) {
  if (lease.empty()) return;
  if (!has(key_lease(ns, lease)))
    throw not_found(Kind::kNone, "lease \"" + escaped(lease, 128) + "\": not found in namespace " +
                                     std::string(ns));
  const std::string path = path_of(object);
  put(key_held(ns, lease, path), "");
  put(ref_prefix(ns, path) + path_of({ObjectKind::kLease, std::string(lease)}), "");
}

void Changes::leave(std::string_view ns, std::string_view lease, const Object& object) {
  if (lease.empty()) return;
  const std::string path = path_of(object);
  erase(key_held(ns, lease, path));
  erase(ref_prefix(ns, path) + path_of({ObjectKind::kLease, std::string(lease)}));
}

void Changes::need_namespace(std::string_view ns) {
  if (ns == "version") throw invalid("namespace", ns, "is reserved");
  if (!view_.find(key_namespace(ns)))
    batch_.put(key_namespace(ns), encode(Namespace{{}, wall_ns()}));
}

uint64_t Changes::next_number(std::string_view what) {
  auto known = numbers_.find(what);
  if (known == numbers_.end()) {
    auto bytes = view_.find(key_number(what));
    known = numbers_.emplace(what, bytes ? decode_number(*bytes) : 0).first;
  }
  batch_.put(key_number(what), encode_number(++known->second));
  return known->second;
}

void Changes::add(std::string_view ns, Container& record, std::string_view packed_spec,
                  const std::string& base) {
  need_namespace(ns);
  record.created_ns = record.updated_ns = wall_ns();
  const std::optional<Snapshot> there = find_base(ns, record, base);
  if (there && there->kind != kCommitted)
    pin(ns, record, base, *there);
  else
    add_snapshot(ns, record, base);
  add_owner_ref(ns, record);
  put(key_container(ns, record.id), encode(record));
  batch_.put(key_spec(ns, record.id), std::string(packed_spec));
  relabel(ns, object_of(record), {}, record.labels);
  publish(ns, api::ContainerCreate{
                  record.id, record.image, {record.runtime_name, record.runtime_options}});
}

void Changes::publish(const api::Event& event) {
  Pending pending{.event = api::encode(event), .from = journal_};
  batch_.put(key_outbox(next_number("outbox")), encode(pending));
}

void Changes::add_snapshot(std::string_view ns, Container& record, const std::string& parent) {
  record.snapshot_key = record.id;
  SnapshotPlace place = place_of(ns, record);
  if (has(key_snapshot(place)))
    throw Error(Code::kAlreadyExists,
                named(place) + ": already exists in namespace " + std::string(ns));
  record.snapshot_number = next_number("snap");
  Snapshot snapshot;
  snapshot.number = record.snapshot_number;
  snapshot.parent = parent;
  snapshot.bottom = record.rootfs;
  snapshot.created_ns = snapshot.updated_ns = record.created_ns;
  put_snapshot(*this, place, snapshot);
  put(key_snapshot_ref(place, "c", record.id), "");
  publish(ns, api::SnapshotPrepare{record.snapshot_key, snapshot.parent, record.snapshotter});
}

void Changes::add_owner_ref(std::string_view ns, const Container& record) {
  if (!record.owner) return;
  batch_.put(key_owner_ref(ns, record.owner, record.id), "");
  need_owner(*this, record.owner, record.owner_process);
}

void Changes::drop_owner_ref(std::string_view ns, const Container& record) {
  if (record.owner) batch_.erase(key_owner_ref(ns, record.owner, record.id));
}

std::optional<Snapshot> Changes::find_base(std::string_view ns, const Container& record,
                                           const std::string& base) const {
  if (base.empty()) return std::nullopt;
  return get_snapshot(view_, {ns, record.snapshotter, base});
}

std::vector<Numbered> Changes::drop(std::string_view ns, const Container& record) {
  Release release(*this, ns);
  end(ns, record, release);
  return release.run().trash;
}

std::vector<Numbered> Changes::replace(std::string_view ns, const Container& there,
                                       Container& record, std::string_view packed_spec,
                                       const std::string& base) {
  const std::optional<Snapshot> kept = find_base(ns, record, base);
  Release release(*this, ns, kept ? std::set<uint64_t>{kept->number} : std::set<uint64_t>());
  end(ns, there, release);
  put(key_container(ns, record.id), "");  // add() writes it whole
  relabel(ns, object_of(record), {}, record.labels);
  if (!kept || kept->kind == kCommitted)  // what has the key of its own layer makes way
    erase(ref_prefix(ns, path_of({ObjectKind::kSnapshot, record.id, record.snapshotter})) +
          "label/" + path_of(object_of(record)));
  auto trash = release.run().trash;
  add(ns, record, packed_spec, base);
  return trash;
}

void Changes::end(std::string_view ns, const Container& record, Release& release) {
  erase(key_container(ns, record.id));
  batch_.erase(key_spec(ns, record.id));
  drop_owner_ref(ns, record);
  publish(ns, api::ContainerDelete{record.id});
  release.forget(object_of(record), record.labels);
  unpin(ns, record, release);
}

void Changes::unpin(std::string_view ns, const Container& record, Release& release) {
  if (record.snapshot_key.empty()) return;
  erase(key_snapshot_ref(place_of(ns, record), "c", record.id));
  release.consider({ObjectKind::kSnapshot, record.snapshot_key, record.snapshotter});
}

void Changes::repin(std::string_view ns, Container& record, const std::string& key,
                    Release& release) {
  if (key == record.snapshot_key) return;
  if (!key.empty() && record.snapshotter.empty())
    throw invalid("snapshot_key", key, "the container has no snapshotter");
  const std::optional<Snapshot> there = find_base(ns, record, key);
  unpin(ns, record, release);
  record.snapshot_key.clear();
  record.rootfs.clear();
  record.snapshot_number = 0;
  if (there) pin(ns, record, key, *there);
}

void Changes::pin(std::string_view ns, Container& record, const std::string& key,
                  const Snapshot& there) {
  SnapshotPlace place{ns, record.snapshotter, key};
  const char* why = there.kind == kCommitted ? ": is committed"
                    : there.kind == kView    ? ": is a view, which a runtime may mount writably"
                                             : ": another container has it";
  if (there.kind != kActive || any_left(snapshot_ref_prefix(place) + "c/"))
    throw failed_precondition(named(place) + why);
  put(key_snapshot_ref(place, "c", record.id), "");
  record.snapshot_key = key;
  record.rootfs = there.bottom;  // not what it stood upon before
  record.snapshot_number = there.number;
}

}  // namespace ctrd::metadata
