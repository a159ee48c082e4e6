// SPDX-License-Identifier: Apache-2.0
#include "metadata/containers.h"

#include "base/error.h"
#include "base/identifier.h"
#include "base/time.h"
#include "metadata/changes.h"
#include "metadata/mask.h"
#include "metadata/release.h"
#include "metadata/replace.h"
#include "metadata/schema.h"

namespace ctrd::metadata {
namespace {

using store::View;

void check_names(std::string_view ns, std::string_view id) {
  check_namespace(ns);
  check_identifier("id", id);
}

void check_extensions(const Container& record) {
  if (record.extensions.contains("")) throw invalid("extensions", "", "a key must not be empty");
}

void check_record(std::string_view ns, const Container& record, std::string_view spec) {
  check_names(ns, record.id);
  check_labels(record.labels);
  if (!record.sandbox_id.empty()) check_identifier("sandbox_id", record.sandbox_id);
  if (record.runtime_name.empty()) throw invalid("runtime", "", "must not be empty");
  if (spec.empty()) throw invalid("spec", "", "must not be empty");
  check_extensions(record);
}

[[noreturn]] void throw_exists(std::string_view ns, const std::string& id) {
  throw Error(Code::kAlreadyExists,
              "container \"" + id + "\": already exists in namespace " + std::string(ns),
              Kind::kContainer);
}

void change_lifetime(Changes& changes, std::string_view ns, Container& record, Lifetime lifetime) {
  if (lifetime == Lifetime::kOwner && record.owner == 0)
    throw failed_precondition("container \"" + record.id + "\": it has no owner", Kind::kContainer);
  record.lifetime = lifetime;
  if (lifetime == Lifetime::kOwner) return;
  changes.drop_owner_ref(ns, record);
  record.owner = 0;
  record.owner_process = {};
}

void change_spec(Changes& changes, std::string_view ns, const Containers::Change& change,
                 Container& record) {
  std::string spec = change.respec(get_spec(changes.view(), ns, record.id));
  if (change.annotations_of) record.annotations = change.annotations_of(spec);
  changes.batch().put(key_spec(ns, record.id), pack_spec(spec));
}

void apply(Changes& changes, std::string_view ns, const Containers::Change& change,
           Container& record, Release& release) {
  Mask mask(change.fields);
  mask.apply("labels", change.labels, record.labels);
  mask.apply("extensions", change.extensions, record.extensions);
  if (!change.fields) apply_change(change.annotations, record.annotations);
  if (mask.has("image", change.image.has_value())) record.image = change.image.value_or("");
  if (mask.has("spec", change.respec != nullptr)) {
    if (!change.respec) throw invalid("spec", "", "must not be empty");
    change_spec(changes, ns, change, record);
  }
  if (change.lifetime) change_lifetime(changes, ns, record, *change.lifetime);
  if (mask.has("snapshotkey", change.snapshot_key.has_value()))
    changes.repin(ns, record, change.snapshot_key.value_or(""), release);
}

api::ContainerUpdate update_event(const Container& record) {
  return {record.id, record.image, event_labels(record.labels), record.snapshot_key};
}

}  // namespace

Created Containers::create(std::string_view ns, Container record, std::string_view spec,
                           const Wait& wait, const std::function<bool(const Container&)>& replaces,
                           const std::string& base) {
  check_record(ns, record, spec);
  drop_empty(record.labels);
  std::string packed = pack_spec(spec);
  Created created;
  ledger_->change(wait, [&](Changes& changes) {
    const View& view = changes.view();
    created.replaced = find_container(view, ns, record.id);
    if (created.replaced) {
      if (!replaces || !replaces(*created.replaced)) throw_exists(ns, record.id);
      created.trash = changes.replace(ns, *created.replaced, record, packed, base);
    } else {
      changes.add(ns, record, packed, base);
    }
  });
  created.record = std::move(record);
  return created;
}

void check_replace(Ledger& ledger, std::string_view ns, Container record, std::string_view spec,
                   const Wait& wait, const std::string& base) {
  check_record(ns, record, spec);
  drop_empty(record.labels);
  const std::string packed = pack_spec(spec);
  ledger.read(wait, [&](const View& view) {
    store::Batch unwritten;
    Changes changes(view, unwritten);
    if (auto there = find_container(view, ns, record.id))
      changes.replace(ns, *there, record, packed, base);
    else
      changes.add(ns, record, packed, base);
  });
}

std::optional<Container> Containers::find(std::string_view ns, std::string_view id,
                                          const Wait& wait) {
  check_names(ns, id);
  std::optional<Container> record;
  ledger_->read(wait, [&](const View& view) { record = find_container(view, ns, id); });
  return record;
}

Container Containers::get(std::string_view ns, std::string_view id, const Wait& wait) {
  check_names(ns, id);
  Container record;
  ledger_->read(wait, [&](const View& view) { record = get_container(view, ns, id); });
  return record;
}

Full Containers::get_full(std::string_view ns, std::string_view id, const Wait& wait) {
  check_names(ns, id);
  Full full;
  ledger_->read(wait, [&](const View& view) {
    full.record = get_container(view, ns, id);
    full.spec = get_spec(view, ns, id);
  });
  return full;
}

std::vector<Container> Containers::list(std::string_view ns, const Wait& wait,
                                        const std::function<bool(const Container&)>& wanted) {
  check_namespace(ns);
  std::vector<Container> records;
  ledger_->read(wait, [&](const View& view) {
    view.scan_prefix(container_prefix(ns), [&](std::string_view key, std::string_view value) {
      Container record = decode_container(id_of(key), value);
      if (!wanted || wanted(record)) records.push_back(std::move(record));
      return true;
    });
  });
  return records;
}

Container Containers::update(std::string_view ns, std::string_view id, const Change& change,
                             const Wait& wait, std::vector<std::pair<uint64_t, Trash>>* trash) {
  check_names(ns, id);
  Container record;
  ledger_->change(wait, [&](Changes& changes) {
    record = get_container(changes.view(), ns, id);
    const Labels before = record.labels;
    if (change.may && !change.may(record))
      throw Error(Code::kAborted, "container \"" + record.id + "\" has changed meanwhile",
                  Kind::kContainer);
    Release release(changes, ns);
    apply(changes, ns, change, record, release);
    check_labels(record.labels);
    drop_empty(record.labels);
    check_extensions(record);
    record.updated_ns = wall_ns();
    changes.relabel(ns, {ObjectKind::kContainer, record.id}, before, record.labels);
    changes.put(key_container(ns, id), encode(record));
    auto left = release.run().trash;
    if (trash) *trash = std::move(left);
    changes.publish(ns, update_event(record));
  });
  return record;
}

std::optional<Removed> Containers::remove(std::string_view ns, std::string_view id,
                                          const Wait& wait,
                                          const std::function<bool(const Container&)>& may) {
  check_names(ns, id);
  std::optional<Removed> removed;
  ledger_->change(wait, [&](Changes& changes) {
    auto record = find_container(changes.view(), ns, id);
    if (!record || (may && !may(*record))) return;
    changes.batch().use_reserve();
    auto trash = changes.drop(ns, *record);
    removed = Removed{std::move(*record), std::move(trash)};
  });
  return removed;
}

}  // namespace ctrd::metadata
