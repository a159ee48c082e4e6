// SPDX-License-Identifier: Apache-2.0
#include "metadata/containers.h"

#include "base/error.h"
#include "base/identifier.h"
#include "base/time.h"
#include "metadata/changes.h"
#include "metadata/schema.h"

namespace ctrd::metadata {
namespace {

using store::Batch;
using store::View;

void check_name(std::string_view ns) { check_identifier("namespace", ns); }

void check_names(std::string_view ns, std::string_view id) {
  check_name(ns);
  check_identifier("id", id);
}

void check_record(std::string_view ns, const Container& record, std::string_view spec) {
  check_names(ns, record.id);
  check_labels(record.labels);
  if (record.runtime_name.empty()) throw invalid("runtime", "", "must not be empty");
  if (spec.empty()) throw invalid("spec", "", "must not be empty");
  if (record.extensions.contains("")) throw invalid("extensions", "", "a key must not be empty");
}

[[noreturn]] void throw_exists(std::string_view ns, const std::string& id) {
  throw Error(Code::kAlreadyExists,
              "container \"" + id + "\": already exists in namespace " + std::string(ns),
              Kind::kContainer);
}

// semantics.md S3: an empty value is no label.
void drop_empty(Labels& labels) {
  std::erase_if(labels, [](const auto& label) { return label.second.empty(); });
}

void apply(const std::map<std::string, std::optional<std::string>>& change, Labels& labels) {
  for (const auto& [key, value] : change) {
    if (value)
      labels[key] = *value;
    else
      labels.erase(key);
  }
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

// Labels of any size are allowed; in an event they are only told as far as it is one.
api::ContainerUpdate update_event(const Container& record) {
  constexpr std::size_t kMost = 128 << 10;
  std::size_t size = 0;
  for (const auto& [key, value] : record.labels) size += key.size() + value.size();
  return {record.id, record.image, size > kMost ? Labels() : record.labels, record.snapshot_key};
}

}  // namespace

Created Containers::create(std::string_view ns, Container record, std::string_view spec,
                           const Wait& wait,
                           const std::function<bool(const Container&)>& replaces) {
  check_record(ns, record, spec);
  drop_empty(record.labels);
  std::string packed = pack_spec(spec);
  Created created;
  ledger_->write(wait, [&](const View& view, Batch& batch) {
    Changes changes(view, batch, ledger_->journal());
    created.replaced = find_container(view, ns, record.id);
    if (created.replaced) {
      if (!replaces || !replaces(*created.replaced)) throw_exists(ns, record.id);
      created.trash = changes.drop(ns, *created.replaced);
    }
    changes.add(ns, record, packed);
  });
  created.record = std::move(record);
  return created;
}

std::optional<Container> Containers::find(std::string_view ns, std::string_view id,
                                          const Wait& wait) {
  check_names(ns, id);
  std::optional<Container> record;
  store_->read(wait, [&](const View& view) { record = find_container(view, ns, id); });
  return record;
}

Container Containers::get(std::string_view ns, std::string_view id, const Wait& wait) {
  check_names(ns, id);
  Container record;
  store_->read(wait, [&](const View& view) { record = get_container(view, ns, id); });
  return record;
}

Full Containers::get_full(std::string_view ns, std::string_view id, const Wait& wait) {
  check_names(ns, id);
  Full full;
  store_->read(wait, [&](const View& view) {
    full.record = get_container(view, ns, id);
    full.spec = get_spec(view, ns, id);
  });
  return full;
}

std::vector<Container> Containers::list(std::string_view ns, const Wait& wait,
                                        const std::function<bool(const Container&)>& wanted) {
  check_name(ns);
  std::vector<Container> records;
  store_->read(wait, [&](const View& view) {
    view.scan_prefix(container_prefix(ns), [&](std::string_view key, std::string_view value) {
      Container record = decode_container(id_of(key), value);
      if (!wanted || wanted(record)) records.push_back(std::move(record));
      return true;
    });
  });
  return records;
}

std::vector<std::string> Containers::namespaces(const Wait& wait) {
  std::vector<std::string> names;
  store_->read(wait, [&](const View& view) { names = find_namespaces(view); });
  return names;
}

Container Containers::update(std::string_view ns, std::string_view id, const Change& change,
                             const Wait& wait) {
  check_names(ns, id);
  Container record;
  ledger_->write(wait, [&](const View& view, Batch& batch) {
    Changes changes(view, batch, ledger_->journal());
    record = get_container(view, ns, id);
    if (change.may && !change.may(record))
      throw Error(Code::kAborted, "container \"" + record.id + "\" has changed meanwhile",
                  Kind::kContainer);
    apply(change.labels, record.labels);
    apply(change.annotations, record.annotations);
    check_labels(record.labels);
    drop_empty(record.labels);
    if (change.lifetime) change_lifetime(changes, ns, record, *change.lifetime);
    if (change.respec)
      batch.put(key_spec(ns, id), pack_spec(change.respec(get_spec(view, ns, id))));
    record.updated_ns = wall_ns();
    batch.put(key_container(ns, id), encode(record));
    changes.publish(ns, update_event(record));
  });
  return record;
}

std::optional<Removed> Containers::remove(std::string_view ns, std::string_view id,
                                          const Wait& wait,
                                          const std::function<bool(const Container&)>& may) {
  check_names(ns, id);
  std::optional<Removed> removed;
  ledger_->write(wait, [&](const View& view, Batch& batch) {
    auto record = find_container(view, ns, id);
    if (!record || (may && !may(*record))) return;
    batch.use_reserve();
    auto trash = Changes(view, batch, ledger_->journal()).drop(ns, *record);
    removed = Removed{std::move(*record), std::move(trash)};
  });
  return removed;
}

}  // namespace ctrd::metadata
