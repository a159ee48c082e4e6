// SPDX-License-Identifier: Apache-2.0
#include "metadata/content.h"

#include "base/digest.h"
#include "base/error.h"
#include "base/identifier.h"
#include "base/time.h"
#include "metadata/changes.h"
#include "metadata/labels.h"
#include "metadata/schema.h"

namespace ctrd::metadata {
namespace {

using store::Batch;
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

Blob ContentRecords::add(std::string_view ns, Blob record, bool shared, const Wait& wait) {
  check_names(ns, record.digest);
  check_labels(record.labels);
  drop_empty(record.labels);
  record.created_ns = record.updated_ns = wall_ns();
  ledger_->change(wait, [&](Changes& changes) {
    if (changes.view().find(key_blob(ns, record.digest)))
      throw Error(Code::kAlreadyExists, "content \"" + record.digest +
                                            "\": already exists in namespace " + std::string(ns))
          .with("digest", record.digest);
    if (shared && !other_holder(changes.view(), ns, record.digest))
      throw no_blob(ns, record.digest);
    changes.need_namespace(ns);
    changes.batch().put(key_blob(ns, record.digest), encode(record));
    changes.batch().put(key_blob_holder(record.digest, ns), "");
    changes.publish(ns, api::ContentCreate{record.digest, static_cast<int64_t>(record.size)});
  });
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
  ledger_->write(wait, [&](const View& view, Batch& batch) {
    record = get_blob(view, ns, digest);
    apply_change(labels, record.labels);
    check_labels(record.labels);
    drop_empty(record.labels);
    record.updated_ns = wall_ns();
    batch.put(key_blob(ns, digest), encode(record));
  });
  return record;
}

std::optional<uint64_t> ContentRecords::remove(std::string_view ns, std::string_view digest,
                                               const Wait& wait) {
  check_names(ns, digest);
  std::optional<uint64_t> trash;
  ledger_->change(wait, [&](Changes& changes) {
    get_blob(changes.view(), ns, digest);
    changes.batch().use_reserve();
    changes.batch().erase(key_blob(ns, digest));
    changes.batch().erase(key_blob_holder(digest, ns));
    if (!other_holder(changes.view(), ns, digest)) {
      trash = changes.next_number("trash");
      changes.batch().put(key_trash(*trash), encode(Trash{"blob", std::string(hex_of(digest))}));
    }
    changes.publish(ns, api::ContentDelete{std::string(digest)});
  });
  return trash;
}

bool ContentRecords::is_held(std::string_view digest, const Wait& wait) {
  check_digest("digest", digest);
  bool held = false;
  ledger_->read(wait, [&](const View& view) { held = any_key(view, blob_holder_prefix(digest)); });
  return held;
}

}  // namespace ctrd::metadata
