// SPDX-License-Identifier: Apache-2.0
#include "metadata/unleased.h"

#include "metadata/changes.h"
#include "metadata/release.h"

namespace ctrd::metadata {
namespace {

bool has_lease(const store::View& view, std::string_view ns, const Container& record) {
  if (record.snapshot_key.empty()) return false;
  const Object layer{ObjectKind::kSnapshot, record.snapshot_key, record.snapshotter};
  const std::string prefix = ref_prefix(ns, path_of(layer)) + "lease/";
  bool found = false;
  view.scan_prefix(prefix, [&](std::string_view key, std::string_view) {
    found = lease_holds(view, ns, key.substr(prefix.size()));
    return !found;
  });
  return found;
}

}  // namespace

bool is_leased(Ledger& ledger, std::string_view ns, const Container& record, const Wait& wait) {
  bool found = false;
  ledger.read(wait, [&](const store::View& view) { found = has_lease(view, ns, record); });
  return found;
}

std::optional<Removed> remove_unleased(Ledger& ledger, std::string_view ns, std::string_view id,
                                       const Wait& wait,
                                       const std::function<bool(const Container&)>& may) {
  std::optional<Removed> removed;
  ledger.change(wait, [&](Changes& changes) {
    auto record = find_container(changes.view(), ns, id);
    if (!record || has_lease(changes.view(), ns, *record) || !may(*record)) return;
    changes.batch().use_reserve();
    auto trash = changes.drop(ns, *record);
    removed = Removed{std::move(*record), std::move(trash)};
  });
  return removed;
}

}  // namespace ctrd::metadata
