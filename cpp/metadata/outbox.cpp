// SPDX-License-Identifier: Apache-2.0
#include "metadata/outbox.h"

#include <algorithm>

#include "metadata/fields.h"
#include "metadata/schema.h"

namespace ctrd::metadata {
namespace {

Pending numbered(std::string_view key, std::string_view value, bool is_left) {
  auto number = number_of(key);
  if (!number) throw damaged("key", key);
  Pending pending = decode_pending(value);
  pending.number = *number;
  pending.is_left = is_left;
  return pending;
}

}  // namespace

std::string encode(const Pending& pending) {
  return FieldWriter().add(1, pending.event).add(2, pending.from).take();
}

Pending decode_pending(std::string_view bytes) {
  Pending pending;
  read_fields(bytes, "event", [&](Field field) {
    return field.read(1, pending.event) || field.read(2, pending.from);
  });
  return pending;
}

std::vector<Pending> find_pending(const store::View& view, const std::vector<uint64_t>& done) {
  std::vector<Pending> found;
  view.scan_prefix(outbox_prefix(), [&](std::string_view key, std::string_view value) {
    Pending pending = numbered(key, value, true);
    if (std::ranges::find(done, pending.number) == done.end()) found.push_back(std::move(pending));
    return found.size() < kMostPending;
  });
  return found;
}

std::vector<Pending> added_pending(const store::Batch& batch) {
  std::vector<Pending> found;
  for (const auto& [key, value] : batch.changes())
    if (value && key.starts_with(outbox_prefix())) found.push_back(numbered(key, *value, false));
  return found;
}

}  // namespace ctrd::metadata
