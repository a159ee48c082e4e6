// SPDX-License-Identifier: Apache-2.0
#include "metadata/content.h"

#include <algorithm>
#include <iterator>

#include "base/digest.h"
#include "base/error.h"
#include "base/identifier.h"
#include "base/time.h"
#include "metadata/changes.h"
#include "metadata/labels.h"
#include "metadata/release.h"
#include "metadata/schema.h"

namespace ctrd::metadata {
namespace {

using store::View;

void check_names(std::string_view ns, std::string_view digest) {
  check_namespace(ns);
  check_digest("digest", digest);
}

std::optional<Blob> find_blob(const View& view, std::string_view ns, std::string_view digest) {
  auto bytes = view.find(key_blob(ns, digest));
  if (!bytes) return std::nullopt;
  return decode_blob(digest, *bytes);
}

Object blob_object(std::string_view digest) { return {ObjectKind::kContent, std::string(digest)}; }

Error no_blob(std::string_view ns, std::string_view digest) {
  return not_found(Kind::kNone, "content \"" + std::string(digest) + "\": not found in namespace " +
                                    std::string(ns));
}

Blob get_blob(const View& view, std::string_view ns, std::string_view digest) {
  auto record = find_blob(view, ns, digest);
  if (!record) throw no_blob(ns, digest);
  return std::move(*record);
}

std::optional<std::string> other_holder(const View& view, std::string_view ns,
                                        std::string_view digest) {
  std::optional<std::string> found;
  view.scan_prefix(blob_holder_prefix(digest), [&](std::string_view key, std::string_view) {
    std::string holder = id_of(key);
    if (holder != ns) found = std::move(holder);
    return !found;
  });
  return found;
}

}  // namespace

std::optional<Blob> ContentRecords::find(std::string_view ns, std::string_view digest,
                                         const Wait& wait) {
  check_names(ns, digest);
  std::optional<Blob> record;
  ledger_->read(wait, [&](const View& view) { record = find_blob(view, ns, digest); });
  return record;
}

Blob ContentRecords::get(std::string_view ns, std::string_view digest, const Wait& wait) {
  auto record = find(ns, digest, wait);
  if (!record) throw no_blob(ns, digest);
  return std::move(*record);
}

std::optional<Blob> ContentRecords::find_elsewhere(std::string_view ns, std::string_view digest,
                                                   const Wait& wait) {
  check_names(ns, digest);
  std::optional<Blob> record;
  ledger_->read(wait, [&](const View& view) {
    if (auto holder = other_holder(view, ns, digest)) record = find_blob(view, *holder, digest);
  });
  return record;
}

std::optional<Blob> ContentRecords::find_for(std::string_view ns,
                                             const std::optional<std::string>& digest,
                                             std::string_view lease, const std::string& ref,
                                             const Wait& wait) {
  if (digest) check_names(ns, *digest);
  std::optional<Blob> record;
  if (lease.empty()) return digest ? find(ns, *digest, wait) : record;
  ledger_->change(wait, [&](Changes& changes) {
    if (digest) record = find_blob(changes.view(), ns, *digest);
    changes.join(ns, lease, record ? blob_object(*digest) : Object{ObjectKind::kIngest, ref});
  });
  return record;
}

Blob ContentRecords::add(std::string_view ns, Blob record, bool shared, const Wait& wait,
                         std::string_view lease, const std::string& ref) {
  check_names(ns, record.digest);
  check_labels(record.labels);
  drop_empty(record.labels);
  record.created_ns = record.updated_ns = wall_ns();
  bool is_there = false;
  ledger_->change(wait, [&](Changes& changes) {
    is_there = changes.view().find(key_blob(ns, record.digest)).has_value();
    changes.join(ns, lease, blob_object(record.digest));
    changes.leave(ns, lease, {ObjectKind::kIngest, ref});
    if (is_there) return;
    if (shared && !other_holder(changes.view(), ns, record.digest))
      throw no_blob(ns, record.digest);
    changes.need_namespace(ns);
    changes.put(key_blob(ns, record.digest), encode(record));
    changes.put(key_blob_holder(record.digest, ns), "");
    changes.relabel(ns, blob_object(record.digest), {}, record.labels);
    changes.publish(ns, api::ContentCreate{record.digest, static_cast<int64_t>(record.size)});
  });
  if (is_there)
    throw Error(Code::kAlreadyExists,
                "content \"" + record.digest + "\": already exists in namespace " + std::string(ns))
        .with("digest", record.digest);
  return record;
}

std::vector<Blob> ContentRecords::list(std::string_view ns, const Wait& wait,
                                       const std::function<bool(const Blob&)>& wanted) {
  check_namespace(ns);
  std::vector<Blob> records;
  ledger_->read(wait, [&](const View& view) {
    view.scan_prefix(blob_prefix(ns), [&](std::string_view key, std::string_view value) {
      Blob record = decode_blob(id_of(key), value);
      if (!wanted || wanted(record)) records.push_back(std::move(record));
      return true;
    });
  });
  return records;
}

Blob ContentRecords::update(std::string_view ns, std::string_view digest, const LabelChange& labels,
                            const Wait& wait) {
  check_names(ns, digest);
  Blob record;
  ledger_->change(wait, [&](Changes& changes) {
    record = get_blob(changes.view(), ns, digest);
    const Labels before = record.labels;
    apply_change(labels, record.labels);
    check_labels(record.labels);
    drop_empty(record.labels);
    record.updated_ns = wall_ns();
    changes.relabel(ns, blob_object(digest), before, record.labels);
    changes.put(key_blob(ns, digest), encode(record));
  });
  return record;
}

std::vector<Numbered> ContentRecords::remove(std::string_view ns, std::string_view digest,
                                             const Wait& wait) {
  check_names(ns, digest);
  std::vector<Numbered> trash;
  ledger_->change(wait, [&](Changes& changes) {
    const Blob record = get_blob(changes.view(), ns, digest);
    changes.batch().use_reserve();
    trash.clear();
    if (auto own = remove_blob_record(changes, ns, record)) trash.push_back(std::move(*own));
    Release release(changes, ns);
    release.forget(blob_object(digest), record.labels);
    std::ranges::move(release.run().trash, std::back_inserter(trash));
  });
  return trash;
}

bool ContentRecords::is_held(std::string_view digest, const Wait& wait) {
  check_digest("digest", digest);
  bool held = false;
  ledger_->read(wait, [&](const View& view) { held = any_key(view, blob_holder_prefix(digest)); });
  return held;
}

bool ContentRecords::is_leased(std::string_view ns, const std::string& ref, const Wait& wait) {
  bool leased = false;
  const std::string prefix = ref_prefix(ns, path_of({ObjectKind::kIngest, ref})) + "lease/";
  ledger_->read(wait, [&](const View& view) {
    view.scan_prefix(prefix, [&](std::string_view key, std::string_view) {
      leased = lease_holds(view, ns, key.substr(prefix.size()));
      return !leased;
    });
  });
  return leased;
}

}  // namespace ctrd::metadata
