// SPDX-License-Identifier: Apache-2.0
#include "metadata/record.h"

#include "base/error.h"
#include "metadata/fields.h"

namespace ctrd::metadata {
namespace {

Lifetime to_lifetime(int value) {
  if (value != 0 && value != 1) throw damaged("container", "unknown lifetime");
  return static_cast<Lifetime>(value);
}

OnExit to_on_exit(int value) {
  if (value != 0 && value != 1) throw damaged("container", "unknown on_exit");
  return static_cast<OnExit>(value);
}

}  // namespace

std::string encode(const Container& record) {
  FieldWriter out;
  out.add(2, record.image).add(3, record.rootfs).add(4, record.runtime_name);
  out.add(5, record.runtime_binary).add(6, record.snapshotter).add(7, record.snapshot_key);
  out.add(8, record.snapshot_number).add(9, static_cast<int>(record.lifetime));
  out.add(10, record.owner).add(11, record.owner_process).add(12, record.created_ns);
  out.add(13, record.updated_ns).add(14, record.labels).add(15, record.extensions);
  out.add(16, record.annotations).add(17, static_cast<int>(record.on_exit));
  out.add(18, record.runtime_options.type_url).add(19, record.runtime_options.value);
  return out.add(20, record.sandbox_id).take();
}

Container decode_container(std::string_view id, std::string_view bytes) {
  Container record;
  int lifetime = 0, on_exit = 0;
  record.id = id;
  read_fields(bytes, "container \"" + record.id + '"', [&](Field field) {
    return field.read(2, record.image) || field.read(3, record.rootfs) ||
           field.read(4, record.runtime_name) || field.read(5, record.runtime_binary) ||
           field.read(6, record.snapshotter) || field.read(7, record.snapshot_key) ||
           field.read(8, record.snapshot_number) || field.read(9, lifetime) ||
           field.read(10, record.owner) || field.read(11, record.owner_process) ||
           field.read(12, record.created_ns) || field.read(13, record.updated_ns) ||
           field.read(14, record.labels) || field.read(15, record.extensions) ||
           field.read(16, record.annotations) || field.read(17, on_exit) ||
           field.read(18, record.runtime_options.type_url) ||
           field.read(19, record.runtime_options.value) || field.read(20, record.sandbox_id);
  });
  record.lifetime = to_lifetime(lifetime);
  record.on_exit = to_on_exit(on_exit);
  return record;
}

std::string encode(const Namespace& record) {
  return FieldWriter().add(1, record.labels).add(2, record.created_ns).take();
}

Namespace decode_namespace(std::string_view bytes) {
  Namespace record;
  read_fields(bytes, "namespace", [&](Field field) {
    return field.read(1, record.labels) || field.read(2, record.created_ns);
  });
  return record;
}

std::string encode(const Snapshot& record) {
  FieldWriter out;
  out.add(1, record.number).add(2, record.kind).add(3, record.parent).add(4, record.bottom);
  return out.add(5, record.created_ns).add(6, record.updated_ns).add(7, record.labels).take();
}

Snapshot decode_snapshot(std::string_view bytes) {
  Snapshot record;
  record.kind = 0;
  read_fields(bytes, "snapshot", [&](Field field) {
    return field.read(1, record.number) || field.read(2, record.kind) ||
           field.read(3, record.parent) || field.read(4, record.bottom) ||
           field.read(5, record.created_ns) || field.read(6, record.updated_ns) ||
           field.read(7, record.labels);
  });
  if (record.kind < 1 || record.kind > 3) throw damaged("snapshot", "unknown kind");
  return record;
}

std::string encode(const Blob& record) {
  FieldWriter out;
  out.add(1, record.size).add(2, record.created_ns).add(3, record.updated_ns);
  return out.add(4, record.labels).take();
}

Blob decode_blob(std::string_view digest, std::string_view bytes) {
  Blob record;
  record.digest = digest;
  read_fields(bytes, "blob \"" + record.digest + '"', [&](Field field) {
    return field.read(1, record.size) || field.read(2, record.created_ns) ||
           field.read(3, record.updated_ns) || field.read(4, record.labels);
  });
  return record;
}

std::string encode(const Trash& record) {
  return FieldWriter().add(1, record.kind).add(2, record.name).take();
}

Trash decode_trash(std::string_view bytes) {
  Trash record;
  read_fields(bytes, "trash", [&](Field field) {
    return field.read(1, record.kind) || field.read(2, record.name);
  });
  if (record.kind.empty() || record.name.empty()) throw damaged("trash", "no kind or no name");
  return record;
}

std::string encode(const Owner& record) {
  return FieldWriter().add(1, record.process).add(2, record.state).take();
}

Owner decode_owner(std::string_view bytes) {
  Owner record;
  read_fields(bytes, "owner", [&](Field field) {
    return field.read(1, record.process) || field.read(2, record.state);
  });
  return record;
}

std::string encode(const State& record) {
  return FieldWriter().add(1, record.token).add(2, record.boot_id).add(3, record.path).take();
}

State decode_state(std::string_view bytes) {
  State record;
  read_fields(bytes, "state", [&](Field field) {
    return field.read(1, record.token) || field.read(2, record.boot_id) ||
           field.read(3, record.path);
  });
  return record;
}

}  // namespace ctrd::metadata
