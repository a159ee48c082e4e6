// SPDX-License-Identifier: Apache-2.0
// close(): what was made through this engine and still belongs to this process goes.
#include <exception>

#include "base/error.h"
#include "engine/children.h"
#include "engine/leases.h"
#include "engine/verbs.h"

namespace ctrd::engine {
namespace {

// Still the very record that was made here, and still this process's.
bool is_mine(const Core& core, const metadata::Container& record, int64_t created_ns) {
  return record.lifetime == metadata::Lifetime::kOwner && core.owner->is_ours(record.owner) &&
         record.created_ns == created_ns;
}

void remove_mine(Core& core, const std::string& ns, const std::string& id, int64_t created_ns,
                 const Wait& wait) {
  auto record = core.containers.find(ns, id, wait);
  if (record && is_mine(core, *record, created_ns)) remove(core, ns, id, true, true, wait);
}

}  // namespace

void close(Core& core, const Wait& wait) {
  check_not_forked(core.generation);
  if (core.closed.exchange(true)) return;
  std::exception_ptr first;
  for (const auto& [key, created_ns] : core.made_containers.all()) {
    try {
      remove_mine(core, key.first, key.second, created_ns, wait);
    } catch (...) {
      if (!first) first = std::current_exception();
    }
  }
  for (const auto& [key, created_ns] : core.made_leases.all()) {
    try {
      release_lease(core, key.first, key.second, created_ns, wait);
    } catch (...) {
      if (!first) first = std::current_exception();
    }
  }
  try {
    core.leave(wait);
  } catch (...) {
    if (!first) first = std::current_exception();
  }
  reap_ending(cleanup_wait(std::chrono::seconds(1)));
  reap_children();  // those that others have ended
  if (first) std::rethrow_exception(first);
}

}  // namespace ctrd::engine
