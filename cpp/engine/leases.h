// SPDX-License-Identifier: Apache-2.0
// Leases as verbs. One that a process owns ends with it: whoever meets it first removes it, with
// what it alone held. Records: metadata/leases.h.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "metadata/leases.h"

namespace ctrd::engine {

struct Core;

struct LeaseOptions {
  std::string id;  // "": one is made up
  Labels labels = {};
  bool detached = false;  // no process's
};
// Which object of which lease. kind: Python's word. snapshotter: of a snapshot, as SnapshotRef's.
struct LeaseResource {
  std::string kind, key, snapshotter = {};
};

// Errors as metadata/leases.h.
metadata::Lease create_lease(Engine& engine, const std::string& ns, const LeaseOptions& options,
                             const Wait& wait);
metadata::Lease get_lease(Engine& engine, const std::string& ns, const std::string& id,
                          const Wait& wait);
std::vector<metadata::Lease> list_leases(Engine& engine, const std::string& ns,
                                         const std::vector<std::string>& filters, const Wait& wait);
// What it alone held is gone when this returns. created_ns: of the one that is meant, if not
// whichever has the id (0). kNotFound.
void remove_lease(Engine& engine, const std::string& ns, const std::string& id, int64_t created_ns,
                  const Wait& wait);
void add_to_lease(Engine& engine, const std::string& ns, const std::string& id,
                  const LeaseResource& resource, const Wait& wait);
void drop_from_lease(Engine& engine, const std::string& ns, const std::string& id,
                     const LeaseResource& resource, const Wait& wait);
std::vector<LeaseResource> lease_resources(Engine& engine, const std::string& ns,
                                           const std::string& id, const Wait& wait);

// Within the engine, as the above.
std::vector<metadata::Lease> list_leases(Core& core, const std::string& ns,
                                         const std::vector<std::string>& filters, const Wait& wait);
// As remove_lease. False: it has gone.
bool release_lease(Core& core, const std::string& ns, const std::string& id, int64_t created_ns,
                   const Wait& wait);
// Those of an owner that is dead. False: one of them is left.
bool sweep_leases(Core& core, uint64_t owner, const Wait& wait);
metadata::Object object_of(Core& core, const std::string& ns, const LeaseResource& resource,
                           const Wait& wait);

}  // namespace ctrd::engine
