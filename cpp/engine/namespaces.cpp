// SPDX-License-Identifier: Apache-2.0
#include "base/error.h"
#include "engine/leases.h"
#include "engine/verbs.h"

namespace ctrd::engine {
namespace {

// They do not keep a namespace, and go with it; one that somebody is writing becomes a blob of it
// again, or is dropped by its writer.
void drop_ingests(Core& core, const std::string& ns) {
  std::vector<content::IngestStatus> all = core.content.ingests(ns);
  for (const content::IngestStatus& one : all) {
    try {
      core.content.abort(ns, one.ref);
    } catch (const Error& error) {
      if (error.code() != Code::kUnavailable && error.code() != Code::kNotFound) throw;
    }
  }
}

}  // namespace

// Containers and leases whose owners are dead do not count, and go with the listing that meets
// them, and with a lease what it alone held.
void remove_namespace(Core& core, const std::string& ns, const Wait& wait) {
  try {
    core.namespaces.remove(ns, wait);
  } catch (const Error& error) {
    if (error.code() != Code::kFailedPrecondition || ns.empty()) throw;
    if (!list(core, ns, {}, wait).empty()) throw;
    list_leases(core, ns, {}, wait);
    core.namespaces.remove(ns, wait);
  }
  drop_ingests(core, ns);
}

}  // namespace ctrd::engine
