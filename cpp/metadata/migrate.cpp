// SPDX-License-Identifier: Apache-2.0
#include "metadata/migrate.h"

#include <string>

#include "base/error.h"
#include "base/time.h"
#include "metadata/fields.h"
#include "metadata/record.h"
#include "metadata/schema.h"

namespace ctrd::metadata {
namespace {

using store::Batch;
using store::View;

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

// 1 -> 2: a namespace is a record, and the snapshotter in a snapshot's key. One seek for each
// namespace.
void add_namespaces(const View& view, Batch& batch) {
  std::string from = "0";  // behind what begins with a dot
  for (;;) {
    std::string ns;
    view.scan(from, "\xff", [&](std::string_view key, std::string_view) {
      ns = key.substr(0, key.find('/'));
      return false;
    });
    if (ns.empty()) return;
    batch.put(key_namespace(ns), encode(Namespace{{}, wall_ns()}));
    move(view, batch, ns + "/snap/", ns + "/snap/overlay/");
    move(view, batch, ns + "/ref/snap/", ns + "/ref/snap/overlay/");
    from = ns + static_cast<char>('/' + 1);
  }
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
  batch.put(key_version(), encode_version());
}

}  // namespace ctrd::metadata
