// SPDX-License-Identifier: Apache-2.0
#include "metadata/migrate.h"

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "metadata/checkpoints.h"
#include "metadata/fields.h"
#include "metadata/record.h"
#include "metadata/references.h"
#include "metadata/schema.h"

namespace ctrd::metadata {
namespace {

using store::Batch;
using store::View;
using Labelled = std::pair<Object, Labels>;

std::string encode_version() { return FieldWriter().add(1, kSchemaVersion).take(); }

uint64_t decode_version(std::string_view bytes) {
  uint64_t version = 0;
  read_fields(bytes, "schema version", [&](Field field) { return field.read(1, version); });
  return version;
}

// Keys that begin with `from` begin with `to`.
void move(const View& view, Batch& batch, const std::string& from, const std::string& to) {
  view.scan_prefix(from, [&](std::string_view key, std::string_view value) {
    batch.put(to + std::string(key.substr(from.size())), std::string(value));
    batch.erase(std::string(key));
    return true;
  });
}

// One seek for each namespace.
std::vector<std::string> named_in_keys(const View& view) {
  std::vector<std::string> found;
  std::string from = "0";  // behind what begins with a dot
  for (;;) {
    std::string ns;
    view.scan(from, "\xff", [&](std::string_view key, std::string_view) {
      ns = key.substr(0, key.find('/'));
      return false;
    });
    if (ns.empty()) return found;
    found.push_back(ns);
    from = ns + static_cast<char>('/' + 1);
  }
}

// 1 -> 2: a namespace is a record, and the snapshotter in a snapshot's key.
void add_namespaces(const View& view, Batch& batch) {
  for (const std::string& ns : named_in_keys(view)) {
    batch.put(key_namespace(ns), encode(Namespace{{}, wall_ns()}));
    move(view, batch, ns + "/snap/", ns + "/snap/overlay/");
    move(view, batch, ns + "/ref/snap/", ns + "/ref/snap/overlay/");
  }
}

using Decode = std::function<Labelled(std::string_view key, std::string_view value)>;
void add_keys_of(const View& view, Batch& batch, const std::string& ns, const std::string& prefix,
                 const Decode& decode) {
  view.scan_prefix(prefix, [&](std::string_view key, std::string_view value) {
    const Labelled one = decode(key.substr(prefix.size()), value);
    for (std::string& made : label_keys(ns, one.first, one.second)) batch.put(std::move(made), "");
    return true;
  });
}

// 2 -> 3: the reverse keys of gc labels. Snapshots are where the step before leaves them.
void add_label_keys(const View& view, Batch& batch, const std::string& ns) {
  add_keys_of(view, batch, ns, container_prefix(ns), [](auto key, auto value) {
    return Labelled{{ObjectKind::kContainer, std::string(key)},
                    decode_container(key, value).labels};
  });
  add_keys_of(view, batch, ns, snapshot_prefix(ns), [](auto key, auto value) {
    auto object = object_at("snap/" + std::string(key));
    if (!object) object = Object{ObjectKind::kSnapshot, unescaped_key(key), "overlay"};  // of 1
    return Labelled{*object, decode_snapshot(value).labels};
  });
  add_keys_of(view, batch, ns, blob_prefix(ns), [](auto key, auto value) {
    return Labelled{{ObjectKind::kContent, std::string(key)}, decode_blob(key, value).labels};
  });
  add_keys_of(view, batch, ns, checkpoint_prefix(ns), [](auto key, auto value) {
    return Labelled{{ObjectKind::kCheckpoint, std::string(key)},
                    decode_checkpoint(key, value).labels};
  });
}

}  // namespace

void migrate(const View& view, Batch& batch) {
  auto bytes = view.find(key_version());
  uint64_t version = bytes ? decode_version(*bytes) : kSchemaVersion;
  if (bytes && version == kSchemaVersion) return;
  if (version > kSchemaVersion || version == 0)
    throw failed_precondition("open the metadata: schema version " + std::to_string(version) +
                                  ": this ctrd knows up to " + std::to_string(kSchemaVersion),
                              Kind::kRoot);
  if (version < 2) add_namespaces(view, batch);
  if (version < 3)
    for (const std::string& ns : named_in_keys(view)) add_label_keys(view, batch, ns);
  batch.put(key_version(), encode_version());
}

}  // namespace ctrd::metadata
