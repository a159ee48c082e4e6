// SPDX-License-Identifier: Apache-2.0
#include "metadata/leases.h"

#include <algorithm>

#include "base/digest.h"
#include "base/error.h"
#include "base/identifier.h"
#include "base/time.h"
#include "metadata/adaptors.h"
#include "metadata/changes.h"
#include "metadata/fields.h"
#include "metadata/owners.h"
#include "metadata/schema.h"

namespace ctrd::metadata {
namespace {

using store::View;

constexpr std::size_t kMaxId = 1024;  // a part of keys

std::string shown(std::string_view id) { return "lease \"" + escaped(id, 128) + '"'; }

void check_names(std::string_view ns, std::string_view id) {
  check_namespace(ns);
  if (id.empty()) throw invalid("id", id, "must not be empty");
  if (id.size() > kMaxId) throw invalid("id", id, "must be at most 1024 bytes");
}

void check_object(const Object& object) {
  const bool is_snapshot = object.kind == ObjectKind::kSnapshot;
  switch (object.kind) {
    case ObjectKind::kContent:
      check_digest("key", object.key);
      break;
    case ObjectKind::kSnapshot:
    case ObjectKind::kIngest:
    case ObjectKind::kImage:
      if (object.key.empty()) throw invalid("key", object.key, "must not be empty");
      break;
    default:
      throw Error(Code::kUnimplemented, "a lease holds no " + std::string(word_of(object.kind)))
          .with("field", "kind")
          .with("value", std::string(word_of(object.kind)));
  }
  if (is_snapshot == object.snapshotter.empty() ||
      object.snapshotter.find('/') != std::string::npos)
    throw invalid("snapshotter", object.snapshotter,
                  is_snapshot ? "must name one" : "is for snapshots only");
}

std::optional<Lease> find_lease(const View& view, std::string_view ns, std::string_view id) {
  auto bytes = view.find(key_lease(ns, id));
  if (!bytes) return std::nullopt;
  return decode_lease(id, *bytes);
}

Lease get_lease(const View& view, std::string_view ns, std::string_view id) {
  auto found = find_lease(view, ns, id);
  if (found) return std::move(*found);
  throw not_found(Kind::kNone, shown(id) + ": not found in namespace " + std::string(ns));
}

std::vector<Object> held_by(const View& view, std::string_view ns, std::string_view id) {
  std::vector<Object> held;
  const std::string prefix = held_prefix(ns, id);
  view.scan_prefix(prefix, [&](std::string_view key, std::string_view) {
    auto object = object_at(key.substr(prefix.size()));
    if (!object) throw damaged("key", key);
    held.push_back(std::move(*object));
    return true;
  });
  return held;
}

}  // namespace

std::string encode(const Lease& record) {
  FieldWriter out;
  out.add(1, record.labels).add(2, record.created_ns).add(3, record.owner);
  return out.add(4, record.owner_process).take();
}

Lease decode_lease(std::string_view id, std::string_view bytes) {
  Lease record;
  record.id = id;
  read_fields(bytes, shown(id), [&](Field field) {
    return field.read(1, record.labels) || field.read(2, record.created_ns) ||
           field.read(3, record.owner) || field.read(4, record.owner_process);
  });
  return record;
}

bool has_expired(const Lease& record, int64_t now_ns) {
  auto expiry = expiry_of(record.labels);
  return expiry && *expiry <= now_ns;
}

Lease Leases::create(std::string_view ns, Lease record, const Wait& wait) {
  check_names(ns, record.id);
  check_labels(record.labels);
  drop_empty(record.labels);
  record.created_ns = wall_ns();
  ledger_->change(wait, [&](Changes& changes) {
    if (find_lease(changes.view(), ns, record.id))
      throw Error(Code::kAlreadyExists,
                  shown(record.id) + ": already exists in namespace " + std::string(ns));
    changes.need_namespace(ns);
    changes.put(key_lease(ns, record.id), encode(record));
    if (!record.owner) return;
    changes.put(key_owner_lease(ns, record.owner, record.id), "");
    need_owner(changes, record.owner, record.owner_process);
  });
  return record;
}

std::optional<Lease> Leases::find(std::string_view ns, std::string_view id, const Wait& wait) {
  check_names(ns, id);
  std::optional<Lease> found;
  ledger_->read(wait, [&](const View& view) { found = find_lease(view, ns, id); });
  return found;
}

Lease Leases::get(std::string_view ns, std::string_view id, const Wait& wait) {
  check_names(ns, id);
  Lease found;
  ledger_->read(wait, [&](const View& view) { found = get_lease(view, ns, id); });
  return found;
}

std::vector<Lease> Leases::list(std::string_view ns, const Filter& filter, const Wait& wait) {
  check_namespace(ns);
  std::vector<Lease> found;
  const std::string prefix = lease_prefix(ns);
  ledger_->read(wait, [&](const View& view) {
    view.scan_prefix(prefix, [&](std::string_view key, std::string_view bytes) {
      Lease record = decode_lease(unescaped_key(key.substr(prefix.size())), bytes);
      auto field = [&](const FieldPath& path) { return find_field(record, path); };
      if (filter.matches(field)) found.push_back(std::move(record));
      return true;
    });
  });
  std::ranges::sort(found, {}, &Lease::id);  // escaping disturbs it
  return found;
}

void Leases::add(std::string_view ns, std::string_view id, const Object& object, const Wait& wait) {
  check_names(ns, id);
  check_object(object);
  ledger_->change(wait, [&](Changes& changes) { changes.join(ns, id, object); });
}

void Leases::drop(std::string_view ns, std::string_view id, const Object& object,
                  const Wait& wait) {
  check_names(ns, id);
  check_object(object);
  ledger_->change(wait, [&](Changes& changes) {
    get_lease(changes.view(), ns, id);
    changes.leave(ns, id, object);
  });
}

std::vector<Object> Leases::resources(std::string_view ns, std::string_view id, const Wait& wait) {
  check_names(ns, id);
  std::vector<Object> held;
  ledger_->read(wait, [&](const View& view) {
    get_lease(view, ns, id);
    held = held_by(view, ns, id);
  });
  return held;
}

std::optional<Released> Leases::remove(std::string_view ns, std::string_view id, const Wait& wait,
                                       int64_t created_ns,
                                       const std::function<std::set<uint64_t>()>& spared) {
  check_names(ns, id);
  std::optional<Released> released;
  ledger_->change(wait, [&](Changes& changes) {
    auto record = find_lease(changes.view(), ns, id);
    if (!record || (created_ns && record->created_ns != created_ns)) return;
    changes.batch().use_reserve();
    Release release(changes, ns, spared ? spared() : std::set<uint64_t>());
    for (const Object& object : erase_lease(changes, ns, *record)) release.consider(object);
    released = release.run();
  });
  return released;
}

std::vector<std::pair<std::string, std::string>> Leases::owned(uint64_t owner, const Wait& wait) {
  std::vector<std::pair<std::string, std::string>> found;
  ledger_->read(wait, [&](const View& view) {
    for (const std::string& ns : find_namespaces(view)) {
      const std::string prefix = owner_lease_prefix(ns, owner);
      view.scan_prefix(prefix, [&](std::string_view key, std::string_view) {
        found.emplace_back(ns, unescaped_key(key.substr(prefix.size())));
        return true;
      });
    }
  });
  return found;
}

std::vector<Object> erase_lease(Changes& changes, std::string_view ns, const Lease& record) {
  std::vector<Object> held = held_by(changes.view(), ns, record.id);
  for (const Object& object : held) changes.leave(ns, record.id, object);
  changes.erase(key_lease(ns, record.id));
  if (record.owner) changes.erase(key_owner_lease(ns, record.owner, record.id));
  return held;
}

}  // namespace ctrd::metadata
