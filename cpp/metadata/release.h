// SPDX-License-Identifier: Apache-2.0
// Garbage at once: what goes in the batch in which its last pin goes, found by the reverse keys
// alone, so that it costs the same in a store of any size. Pins are a container's snapshot, a
// lease's objects and what gc labels name; a parent of what goes stays for Collector (collect.h),
// unless it was pinned like that itself. Source: design.md 6.2.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "metadata/changes.h"
#include "metadata/references.h"
#include "metadata/schema.h"

namespace ctrd::metadata {

// This lease keeps what it holds: it is there, and has not expired. escaped: as it is in keys.
bool lease_holds(const store::View& view, std::string_view ns, std::string_view escaped);

// What has gone.
struct Released {
  std::vector<Object> objects;
  std::vector<Numbered> trash;
  std::vector<std::string> ingests;  // refs that nothing holds any more: they are no records
};

class Release {
 public:
  // spared: numbers of snapshots that are in use (mounted), which only their user knows.
  Release(Changes& changes, std::string_view ns, std::set<uint64_t> spared = {})
      : changes_(changes), ns_(ns), spared_(std::move(spared)) {}

  // It was pinned by something that is gone in this batch.
  void consider(const Object& object);
  // An object goes, its record by the caller: the keys of its labels, and what they pinned.
  void forget(const Object& object, const Labels& labels);
  // What nothing keeps goes, and what that kept. Once, when all that the batch puts has been put.
  Released run();

 private:
  bool is_kept(const Object& object, const Labels& labels) const;
  void look_at(const Object& object);
  void look_at_snapshot(const Object& object);
  void look_at_blob(const Object& object);

  Changes& changes_;
  const std::string ns_;
  const std::set<uint64_t> spared_;
  std::set<Object> named_;
  std::vector<Object> queue_;
  Released released_;
};

// The record, its reverse keys, its event, and its directory as trash. Both for Release and
// Collector.
Numbered remove_snapshot_record(Changes& changes, const SnapshotPlace& place,
                                const Snapshot& record);
// nullopt: another namespace has the bytes.
std::optional<Numbered> remove_blob_record(Changes& changes, std::string_view ns,
                                           const Blob& record);

}  // namespace ctrd::metadata
