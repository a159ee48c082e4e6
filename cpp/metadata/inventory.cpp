// SPDX-License-Identifier: Apache-2.0
#include "metadata/inventory.h"

#include <string_view>
#include <vector>

#include "base/error.h"
#include "metadata/fields.h"
#include "metadata/outbox.h"
#include "metadata/schema.h"

namespace ctrd::metadata {
namespace {

using Parts = std::vector<std::string_view>;

Parts split(std::string_view key) {
  Parts parts;
  for (;;) {
    std::size_t slash = key.find('/');
    parts.push_back(key.substr(0, slash));
    if (slash == key.npos) return parts;
    key.remove_prefix(slash + 1);
  }
}

uint64_t number_in(std::string_view key) {
  auto number = number_of(key);
  if (!number) throw damaged("key", key);
  return *number;
}

void need(bool well_formed) {
  if (!well_formed) throw damaged("key", "it has not the parts that it should have");
}

// ".<what>/...": what belongs to no namespace.
void file_root(Inventory& all, const Parts& parts, std::string_view key, std::string_view value) {
  const std::string_view what = parts[0];
  if (what == ".n") {
    need(parts.size() == 2);
    all.numbers[std::string(parts[1])] = decode_number(value);
  } else if (what == ".trash") {
    all.trash[number_in(key)] = decode_trash(value);
  } else if (what == ".owner") {
    all.owners[number_in(key)] = decode_owner(value);
  } else if (what == ".ns") {
    need(parts.size() == 2);
    decode_namespace(value);
    all.namespaces.emplace(parts[1]);
  } else if (what == ".outbox") {
    number_in(key);
    decode_pending(value);
  } else if (what == ".blob") {
    need(parts.size() == 3);
    all.references.emplace(key);
  }
}

void file_held(Inventory& all, const Parts& parts, std::string_view key) {
  const std::size_t object = parts[0].size() + parts[1].size() + parts[2].size() + 3;
  need(parts.size() > 3);
  auto found = object_at(key.substr(object));
  need(found.has_value());
  all.held[std::string(key)] = {{std::string(parts[0]), unescaped_key(parts[2])}, *found};
}

void file_object(Inventory& all, const Parts& parts, std::string_view key, std::string_view value) {
  need(parts.size() > 2 && !parts[2].empty());
  const std::string_view what = parts[1];
  const Inventory::Name name{parts[0], parts[2]};
  if (what == "held") return file_held(all, parts, key);
  if (what == "ref" || what == "bref") {
    all.references.emplace(key);
  } else if (what == "lease") {
    const std::string id = unescaped_key(parts[2]);
    all.leases[{name.first, id}] = decode_lease(id, value);
  } else if (what == "c") {
    all.containers[name] = decode_container(parts[2], value);
  } else if (what == "s") {
    unpack_spec(value);
    all.specs.insert(name);
  } else if (what == "blob") {
    all.blobs[name] = decode_blob(parts[2], value);
  } else if (what == "cp") {
    all.checkpoints[name] = decode_checkpoint(parts[2], value);
  } else if (what == "snap") {
    need(parts.size() == 4);
    all.snapshots[{name.first, name.second, unescaped_key(parts[3])}] = decode_snapshot(value);
  }
}

}  // namespace

Inventory take_inventory(const store::View& view) {
  Inventory all;
  view.scan("", "\xff", [&](std::string_view key, std::string_view value) {
    const Parts parts = split(key);
    try {
      if (key.starts_with('.'))
        file_root(all, parts, key, value);
      else
        file_object(all, parts, key, value);
    } catch (const Error& error) {
      if (error.code() != Code::kDataLoss) throw;
      all.damaged[std::string(key)] = {std::string(value), error.message()};
    }
    return true;
  });
  return all;
}

std::set<std::string> expected_references(const Inventory& all) {
  std::set<std::string> keys;
  auto add_labels = [&](const std::string& ns, const Object& object, const Labels& labels) {
    for (std::string& key : label_keys(ns, object, labels)) keys.insert(std::move(key));
  };
  for (const auto& [name, record] : all.containers) {
    const auto& [ns, id] = name;
    if (!record.snapshot_key.empty())
      keys.insert(key_snapshot_ref({ns, record.snapshotter, record.snapshot_key}, "c", id));
    if (record.owner) keys.insert(key_owner_ref(ns, record.owner, id));
    add_labels(ns, {ObjectKind::kContainer, id}, record.labels);
  }
  for (const auto& [name, record] : all.snapshots) {
    if (!record.parent.empty())
      keys.insert(key_snapshot_ref({name.ns, name.snapshotter, record.parent}, "snap", name.key));
    add_labels(name.ns, {ObjectKind::kSnapshot, name.key, name.snapshotter}, record.labels);
  }
  for (const auto& [name, record] : all.blobs) {
    keys.insert(key_blob_holder(name.second, name.first));
    add_labels(name.first, {ObjectKind::kContent, name.second}, record.labels);
  }
  for (const auto& [name, record] : all.checkpoints)
    add_labels(name.first, {ObjectKind::kCheckpoint, name.second}, record.labels);
  for (const auto& [name, record] : all.leases)
    if (record.owner) keys.insert(key_owner_lease(name.first, record.owner, name.second));
  for (const auto& [key, held] : all.held)
    keys.insert(ref_prefix(held.first.first, path_of(held.second)) +
                path_of({ObjectKind::kLease, held.first.second}));
  return keys;
}

}  // namespace ctrd::metadata
