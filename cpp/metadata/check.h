// SPDX-License-Identifier: Apache-2.0
// The records against each other: what cannot be read, refers to nothing, or disagrees with the
// reverse keys; and the batch that mends it. What is erased is handed out first, to be kept
// elsewhere. The disk's side is engine/fsck.h's.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "metadata/inventory.h"

namespace ctrd::metadata {

struct Finding {
  std::string kind;  // "container", "snapshot", "content", "reference", "owner" ...
  std::string key;   // "<namespace>/<id>", or what else names it
  // damaged: it cannot be read, or is not what others say; missing; orphaned: it belongs to
  // nothing; dangling: it refers to what is not there; dead: its process is gone; stale; foreign
  std::string problem;
  std::string detail;
  bool repairable = true;
};

// What the records cannot know.
struct DiskFacts {
  std::map<std::string, uint64_t> blobs;  // digest -> bytes
  std::set<Inventory::Name> live;         // whose task lives: nothing of those is changed
  std::string state;                      // path of the state directory
  std::set<uint64_t> layers;              // numbers of directories
  uint64_t checkpoint = 0, owner = 0;     // the highest one of directories and lock files
};

struct Checked {
  Inventory all;  // as it is once it is repaired
  std::vector<Finding> findings;
  std::map<std::string, std::string> lost;  // key -> value: what a repair overwrites or erases
  // The record of a directory is lost: one that seems to belong to nothing may be that one.
  bool hides_directories = false;
};
Checked check_records(const store::View& view, const DiskFacts& disk);

// Repairs what check_records finds now; of `lost` only what is in `saved`, as it is there.
void repair_records(const store::View& view, store::Batch& batch, const DiskFacts& disk,
                    const std::map<std::string, std::string>& saved);

// For a database that was lost, before anybody sees the new one: its numbers go on behind what it
// has and what is on the disk.
void keep_numbers(const store::View& view, store::Batch& batch, const DiskFacts& disk);

// The state directory that the records know; none: damaged, or there never was one.
std::optional<State> find_state(const store::View& view);
// The version that they have; none: damaged, or they are empty.
std::optional<uint64_t> find_version(const store::View& view);

}  // namespace ctrd::metadata
