// SPDX-License-Identifier: Apache-2.0
#include "metadata/adaptors.h"

#include "metadata/checkpoints.h"
#include "metadata/leases.h"

namespace ctrd::metadata {
namespace {

std::optional<std::string_view> if_set(const std::string& value) {
  return value.empty() ? std::nullopt : std::optional<std::string_view>(value);
}

}  // namespace

std::optional<std::string_view> find_label(const Labels& labels, const FieldPath& path) {
  auto found = labels.find(path.rest);
  return found == labels.end() ? std::nullopt : std::optional<std::string_view>(found->second);
}

std::optional<std::string_view> find_field(const Container& record, const FieldPath& path) {
  const std::string& first = path.parts[0];
  if (first == "id") return if_set(record.id);
  if (first == "image") return if_set(record.image);
  if (first == "labels") return find_label(record.labels, path);
  if (first == "runtime" && path.parts.size() > 1 && path.parts[1] == "name")
    return if_set(record.runtime_name);
  return std::nullopt;
}

std::optional<std::string_view> find_field(std::string_view name, const Snapshot& record,
                                           const FieldPath& path) {
  static constexpr std::string_view kKinds[] = {"", "active", "view", "committed"};
  const std::string& first = path.parts[0];
  if (first == "name") return name;
  if (first == "parent") return if_set(record.parent);
  if (first == "kind") return kKinds[record.kind];
  if (first == "labels") return find_label(record.labels, path);
  return std::nullopt;
}

std::optional<std::string_view> find_field(const Checkpoint& record, const FieldPath& path) {
  const std::string& first = path.parts[0];
  if (first == "name") return record.name;
  if (first == "container") return record.container_id;
  if (first == "image") return if_set(record.image);
  if (first == "labels") return find_label(record.labels, path);
  return std::nullopt;
}

std::optional<std::string_view> find_field(const Blob& record, const FieldPath& path) {
  if (path.parts[0] == "digest") return record.digest;
  if (path.parts[0] == "labels") return find_label(record.labels, path);
  return std::nullopt;
}

std::optional<std::string_view> find_field(const Lease& record, const FieldPath& path) {
  if (path.parts[0] == "id") return record.id;
  if (path.parts[0] == "labels") return find_label(record.labels, path);
  return std::nullopt;
}

}  // namespace ctrd::metadata
