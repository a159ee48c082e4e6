// SPDX-License-Identifier: Apache-2.0
// Everything in the store, read once, as far as it can be read: what a check compares with the
// reverse keys and with the disk.
#pragma once

#include <compare>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "metadata/checkpoints.h"
#include "metadata/leases.h"
#include "metadata/record.h"
#include "store/store.h"

namespace ctrd::metadata {

struct SnapshotName {
  std::string ns, snapshotter, key;
  auto operator<=>(const SnapshotName&) const = default;
};

struct Inventory {
  using Name = std::pair<std::string, std::string>;  // namespace, and id, digest or name

  std::map<Name, Container> containers;
  std::set<Name> specs;
  std::map<SnapshotName, Snapshot> snapshots;
  std::map<Name, Blob> blobs;
  std::map<Name, Checkpoint> checkpoints;
  std::map<Name, Lease> leases;
  std::map<std::string, std::pair<Name, Object>> held;  // by key: a lease, and what it holds
  std::map<uint64_t, Owner> owners;
  std::map<uint64_t, Trash> trash;
  std::map<std::string, uint64_t> numbers;  // the last ones given out
  std::set<std::string> namespaces;
  std::set<std::string> references;  // the reverse keys

  struct Damaged {
    std::string value, why;
  };
  std::map<std::string, Damaged> damaged;  // by key
};

Inventory take_inventory(const store::View& view);

// The reverse keys that these records should have.
std::set<std::string> expected_references(const Inventory& all);

}  // namespace ctrd::metadata
