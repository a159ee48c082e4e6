// SPDX-License-Identifier: Apache-2.0
#include "metadata/checkpoints.h"

#include "base/error.h"
#include "base/identifier.h"
#include "metadata/adaptors.h"
#include "metadata/changes.h"
#include "metadata/fields.h"
#include "metadata/release.h"
#include "metadata/schema.h"

namespace ctrd::metadata {
namespace {

// What its layer stands upon, said as any object says it: so collections, reverse keys and checks
// know of it.
std::string base_label(const Checkpoint& record) {
  return "containerd.io/gc.ref.snapshot." + record.snapshotter + "/base";
}

std::string shown(std::string_view name) { return "checkpoint \"" + std::string(name) + '"'; }

std::optional<Checkpoint> find_in(const store::View& view, std::string_view ns,
                                  std::string_view name) {
  auto bytes = view.find(key_checkpoint(ns, name));
  if (!bytes) return std::nullopt;
  return decode_checkpoint(name, *bytes);
}

}  // namespace

Labels labels_of(const Checkpoint& record) {
  Labels own = record.labels;
  if (!record.base.empty()) own.erase(base_label(record));
  return own;
}

std::string encode(const Checkpoint& record) {
  FieldWriter out;
  out.add(2, record.number).add(3, record.container_id).add(4, record.image);
  out.add(5, record.rootfs).add(6, record.runtime).add(7, record.tcp).add(8, record.created_ns);
  out.add(9, record.size).add(10, record.labels).add(11, record.container_labels);
  return out.add(12, record.kernel)
      .add(13, record.machine)
      .add(14, record.images)
      .add(15, record.snapshotter)
      .add(16, record.base)
      .add(17, record.empty_namespaces)
      .add(18, record.extensions)
      .add(19, record.runtime_options.type_url)
      .add(20, record.runtime_options.value)
      .add(21, record.layer)
      .add(22, record.sandbox_id)
      .take();
}

Checkpoint decode_checkpoint(std::string_view name, std::string_view bytes) {
  Checkpoint record;
  record.name = name;
  read_fields(bytes, shown(name), [&](Field field) {
    return field.read(2, record.number) || field.read(3, record.container_id) ||
           field.read(4, record.image) || field.read(5, record.rootfs) ||
           field.read(6, record.runtime) || field.read(7, record.tcp) ||
           field.read(8, record.created_ns) || field.read(9, record.size) ||
           field.read(10, record.labels) || field.read(11, record.container_labels) ||
           field.read(12, record.kernel) || field.read(13, record.machine) ||
           field.read(14, record.images) || field.read(15, record.snapshotter) ||
           field.read(16, record.base) || field.read(17, record.empty_namespaces) ||
           field.read(18, record.extensions) || field.read(19, record.runtime_options.type_url) ||
           field.read(20, record.runtime_options.value) || field.read(21, record.layer) ||
           field.read(22, record.sandbox_id);
  });
  return record;
}

uint64_t Checkpoints::new_number(const Wait& wait) {
  uint64_t number = 0;
  ledger_->change(wait, [&](Changes& changes) { number = changes.next_number("checkpoint"); });
  return number;
}

void Checkpoints::add(std::string_view ns, Checkpoint record, const Wait& wait) {
  check_namespace(ns);
  check_identifier("ref", record.name);
  if (!record.base.empty()) record.labels[base_label(record)] = record.base;
  check_labels(record.labels);
  ledger_->change(wait, [&](Changes& changes) {
    if (changes.view().find(key_checkpoint(ns, record.name)))
      throw Error(Code::kAlreadyExists, shown(record.name) + ": there is one already",
                  Kind::kCheckpoint);
    changes.need_namespace(ns);
    changes.put(key_checkpoint(ns, record.name), encode(record));
    changes.relabel(ns, {ObjectKind::kCheckpoint, record.name}, {}, record.labels);
  });
}

std::optional<Checkpoint> Checkpoints::find(std::string_view ns, std::string_view name,
                                            const Wait& wait) {
  check_namespace(ns);
  check_identifier("ref", name);
  std::optional<Checkpoint> found;
  ledger_->read(wait, [&](const store::View& view) { found = find_in(view, ns, name); });
  return found;
}

Checkpoint Checkpoints::get(std::string_view ns, std::string_view name, const Wait& wait) {
  auto found = find(ns, name, wait);
  if (!found)
    throw not_found(Kind::kCheckpoint, shown(name) + ": not found in namespace " + std::string(ns));
  return std::move(*found);
}

std::vector<Checkpoint> Checkpoints::list(std::string_view ns, const Filter& filter,
                                          const Wait& wait) {
  check_namespace(ns);
  std::vector<Checkpoint> all;
  ledger_->read(wait, [&](const store::View& view) {
    all.clear();
    view.scan_prefix(checkpoint_prefix(ns), [&](std::string_view key, std::string_view bytes) {
      Checkpoint record = decode_checkpoint(id_of(key), bytes);
      auto field = [&](const FieldPath& path) { return find_field(record, path); };
      if (filter.matches(field)) all.push_back(std::move(record));
      return true;
    });
  });
  return all;
}

std::optional<Checkpoint> Checkpoints::remove(std::string_view ns, std::string_view name,
                                              const Wait& wait, std::vector<Numbered>* trash) {
  check_namespace(ns);
  check_identifier("ref", name);
  std::optional<Checkpoint> found;
  ledger_->change(wait, [&](Changes& changes) {
    found = find_in(changes.view(), ns, name);
    if (!found) return;
    changes.batch().use_reserve();
    changes.erase(key_checkpoint(ns, name));
    Release release(changes, ns);
    const Object object{ObjectKind::kCheckpoint, found->name};
    changes.relabel(ns, object, found->labels, {});
    release.forget(object, labels_of(*found));  // as of a container: whoever's base stays
    auto left = release.run().trash;
    if (trash) *trash = std::move(left);
  });
  return found;
}

std::vector<uint64_t> Checkpoints::numbers(const Wait& wait) {
  std::vector<uint64_t> all;
  ledger_->read(wait, [&](const store::View& view) {
    all.clear();
    for (const std::string& ns : find_namespaces(view))
      view.scan_prefix(checkpoint_prefix(ns), [&](std::string_view key, std::string_view bytes) {
        all.push_back(decode_checkpoint(id_of(key), bytes).number);
        return true;
      });
  });
  return all;
}

void Checkpoints::trust(std::string_view digest, const Wait& wait) {
  ledger_->change(wait, [&](Changes& changes) { changes.batch().put(key_trusted(digest), ""); });
}

bool Checkpoints::is_trusted(std::string_view digest, const Wait& wait) {
  bool trusted = false;
  ledger_->read(
      wait, [&](const store::View& view) { trusted = view.find(key_trusted(digest)).has_value(); });
  return trusted;
}

}  // namespace ctrd::metadata
