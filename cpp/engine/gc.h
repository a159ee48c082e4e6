// SPDX-License-Identifier: Apache-2.0
// Garbage as verbs: what nothing keeps goes, and why something is kept. What the marking must not
// wait for (mounts, owners, directories' sizes) is looked at outside of the store's lock. Marking:
// metadata/collect.h. Source: semantics.md S8.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "engine/leases.h"

namespace ctrd::engine {

struct GcReport {
  std::vector<LeaseResource> removed;  // in order of kind and key; kind: also "lease", "ingest"
  uint64_t freed = 0;                  // bytes
};
// Of one namespace: snapshots, content, leases that have ended, and ingests that no lease holds and
// nobody has written to for a day. dry_run: says what would go, and removes nothing.
GcReport gc(Engine& engine, const std::string& ns, bool dry_run, const Wait& wait);

struct Explanation {
  bool is_kept = false;
  std::vector<std::vector<std::string>> paths;  // one from each root, in words; 16 at most
  std::string hint;                             // of what is not kept: why not
};
// kNotFound: there is no such object.
Explanation explain(Engine& engine, const std::string& ns, const LeaseResource& object,
                    const Wait& wait);

// Of a blob's record, and what its labels alone kept. kNotFound.
void remove_content(Engine& engine, const std::string& ns, const std::string& digest,
                    const Wait& wait);

}  // namespace ctrd::engine
