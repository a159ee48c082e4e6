// SPDX-License-Identifier: Apache-2.0
// Pruning as a verb: containers whose tasks have ended go, unless anybody may still be using them.
// Source: api.md (Garbage); semantics.md S7.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/engine.h"

namespace ctrd::engine {

struct PruneOptions {
  std::vector<std::string> filters = {};  // metadata/filter.h
  Nanos stopped_for{0};                   // at least so long ago
  bool dry_run = false;                   // says what would go, and removes nothing
};
struct PruneReport {
  std::vector<std::string> removed;  // ids, in order
  uint64_t freed = 0;                // bytes of layers and logs
};
// Of one namespace: detached containers that are stopped. Left alone: one that has an owner (who
// lives, or others sweep it); whose layer is mounted or belongs to a lease; that was never started;
// that is started again, made anew or labelled otherwise in the last moment. One that cannot be
// removed (its shim does not exit, its status cannot be read) is logged and left.
// kInvalidArgument: a filter, or a negative time.
PruneReport prune(Engine& engine, const std::string& ns, const PruneOptions& options,
                  const Wait& wait);

}  // namespace ctrd::engine
