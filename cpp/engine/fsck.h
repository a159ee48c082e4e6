// SPDX-License-Identifier: Apache-2.0
// The store against the disk: what is missing, what belongs to nothing, what cannot be read; and
// the repair of what can be repaired. Nothing that a living process uses is touched: its locks and
// claims say so. Needs no first verb, so that a root that refuses those can be looked at.
#pragma once

#include <string>
#include <vector>

#include "engine/engine.h"
#include "metadata/check.h"

namespace ctrd::engine {

struct Core;
// For a verb that must not recover anything first. Throws if it is closed or forked.
Core& core_unentered(Engine& engine);

struct FsckOptions {
  bool repair = false;
  bool verify = false;  // read all blobs and checkpoints, for their digests
};
struct FsckFinding {
  metadata::Finding what;
  bool repaired = false;
};

// What is erased or damaged is kept in <root>/metadata/lost. Throws kUnavailable (kRoot), and what
// the disk says; kFailedPrecondition for a newer schema.
std::vector<FsckFinding> fsck(Engine& engine, const FsckOptions& options, const Wait& wait);

}  // namespace ctrd::engine
