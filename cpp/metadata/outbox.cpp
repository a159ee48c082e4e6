// SPDX-License-Identifier: Apache-2.0
#include "metadata/outbox.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <set>

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

std::vector<Pending> added(const store::Batch& batch) {
  std::vector<Pending> found;
  for (const auto& [key, value] : batch.changes())
    if (value && key.starts_with(outbox_prefix())) found.push_back(numbered(key, *value, false));
  return found;
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

std::vector<Pending> Backlog::find(const store::View& view, const std::vector<uint64_t>& done,
                                   const store::Batch& batch) {
  uint64_t first = view.opening() == opening_ ? first_ : 0;
  const std::set<uint64_t> known(done.begin(), done.end());
  std::vector<Pending> found;
  auto collect = [&](std::string_view key, std::string_view value) {
    Pending pending = numbered(key, value, true);
    if (!known.contains(pending.number)) found.push_back(std::move(pending));
    return found.size() < kMost;
  };
  view.scan(key_outbox(first), key_outbox(UINT64_MAX), collect);
  if (found.size() < kMost) std::ranges::move(added(batch), std::back_inserter(found));
  if (found.empty()) return found;
  opening_ = view.opening();
  first_ = found.front().number;  // numbers only grow, also when this batch fails
  return found;
}

}  // namespace ctrd::metadata
