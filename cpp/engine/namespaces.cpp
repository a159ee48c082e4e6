// SPDX-License-Identifier: Apache-2.0
#include "base/error.h"
#include "engine/verbs.h"

namespace ctrd::engine {

// Containers whose owners are dead do not count, and go with the listing that meets them.
void remove_namespace(Core& core, const std::string& ns, const Wait& wait) {
  try {
    core.namespaces.remove(ns, wait);
  } catch (const Error& error) {
    if (error.code() != Code::kFailedPrecondition || ns.empty()) throw;
    if (!list(core, ns, {}, wait).empty()) throw;
    core.namespaces.remove(ns, wait);
  }
}

}  // namespace ctrd::engine
