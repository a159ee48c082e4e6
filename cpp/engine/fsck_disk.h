// SPDX-License-Identifier: Apache-2.0
// The disk's side of fsck: what is there, against the records.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/core.h"
#include "metadata/check.h"

namespace ctrd::engine {

using Findings = std::vector<metadata::Finding>;

// Names of directories and files. Listed before the records are read: what comes meanwhile has its
// record first, or is locked.
struct DiskNames {
  std::vector<std::string> layers, blobs, logs, checkpoints, owners;
  std::vector<std::string> free_checkpoints;  // nobody made those then: they have their record
};
DiskNames list_names(const Core& core);
metadata::DiskFacts numbers_on_disk(const DiskNames& names);  // of the facts these alone
metadata::DiskFacts disk_facts(Core& core, const DiskNames& names);

// all: the records. verify: read everything.
Findings check_disk(Core& core, const DiskNames& names, const metadata::Inventory& all, bool verify,
                    const Wait& wait);

// How long nobody has written to an ingest that is stale. semantics.md S10
constexpr Nanos stale_after() { return std::chrono::hours(24); }

// A lease holds this ingest, "<namespace>/<ref>".
bool is_leased(const metadata::Inventory& all, const std::string& ref);

// The state directory that the records know is ours, or of another boot: nullopt.
std::optional<metadata::Finding> check_state_directory(const Core& core,
                                                       const metadata::State& known);

}  // namespace ctrd::engine
