// SPDX-License-Identifier: Apache-2.0
#include "engine/leases.h"

#include <set>

#include "base/error.h"
#include "base/log.h"
#include "base/process.h"
#include "engine/checkpoint.h"
#include "engine/snapshot_layer.h"
#include "engine/snapshot_mount.h"
#include "engine/snapshots.h"
#include "engine/verbs.h"

namespace ctrd::engine {
namespace {

using metadata::Lease;
using metadata::ObjectKind;

// As containerd makes them up: the time, and something that no other has.
std::string new_id() { return std::to_string(wall_ns() % 1'000'000'000) + "-" + random_hex(6); }

bool is_abandoned(Core& core, const Lease& record) {
  return record.owner != 0 && !core.owner->is_ours(record.owner) &&
         owner_is_dead(core.root, record.owner, record.owner_process);
}

bool sweep(Core& core, const std::string& ns, const Lease& record, const Wait& wait) {
  return release_lease(core, ns, record.id, record.created_ns, wait);
}

// They have no record: what nothing holds any more is dropped, unless somebody is at it again.
void abort_quietly(Core& core, const std::string& ns, const std::vector<std::string>& refs,
                   int64_t since_ns, const Wait& wait) {
  for (const std::string& ref : refs) {
    try {
      core.content.abort_unused(ns, ref, since_ns, wait);
    } catch (const Error& error) {
      log(Level::kWarning, "ingest " + ref + " is left: " + error.message());
    }
  }
}

Error no_lease(const std::string& ns, const std::string& id) {
  return not_found(Kind::kNone, "lease \"" + escaped(id, 128) + "\": not found in namespace " + ns);
}

}  // namespace

metadata::Object object_of(Core& core, const std::string& ns, const LeaseResource& resource,
                           const Wait& wait) {
  metadata::Object object{metadata::kind_of(resource.kind), resource.key, resource.snapshotter};
  if (object.kind == ObjectKind::kSnapshot)
    object.snapshotter = pick_snapshotter(core, ns, resource.snapshotter, wait);
  return object;
}

bool release_lease(Core& core, const std::string& ns, const std::string& id, int64_t created_ns,
                   const Wait& wait) {
  const int64_t since = wall_ns();
  unmount_leftovers(core);
  auto in_use = layers_in_use(core);
  auto spared = [&] {
    note_mounts(core, &in_use);  // those that were made meanwhile
    std::set<uint64_t> numbers;
    for (const auto& [number, where] : in_use) numbers.insert(number);
    return numbers;
  };
  auto released = with_reserves(
      core.root, [&] { return core.leases.remove(ns, id, wait, created_ns, spared); });
  core.made_leases.forget(ns, id, created_ns);
  if (!released) return false;
  with_reserves(core.root, [&] { empty_trash(core, {{}, released->trash}); });
  abort_quietly(core, ns, released->ingests, since, wait);
  return true;
}

bool sweep_leases(Core& core, uint64_t owner, const Wait& wait) {
  for (const auto& [ns, id] : core.leases.owned(owner, wait)) {
    wait.check();
    auto record = core.leases.find(ns, id, wait);
    if (record && record->owner == owner) sweep(core, ns, *record, wait);
  }
  return core.leases.owned(owner, wait).empty();
}

Lease create_lease(Engine& engine, const std::string& ns, const LeaseOptions& options,
                   const Wait& wait) {
  Core& core = core_of(engine, wait);
  Lease record{.id = options.id.empty() ? new_id() : options.id, .labels = options.labels};
  if (!options.detached) {
    record.owner = core.owner->number(core.root, core.containers, wait);
    record.owner_process = this_process();
  }
  auto there = core.leases.find(ns, record.id, wait);
  if (there && is_abandoned(core, *there)) sweep(core, ns, *there, wait);
  record = core.leases.create(ns, record, wait);
  if (record.owner) core.made_leases.remember(ns, record.id, record.created_ns);
  return record;
}

Lease get_lease(Engine& engine, const std::string& ns, const std::string& id, const Wait& wait) {
  Core& core = core_of(engine, wait);
  Lease record = core.leases.get(ns, id, wait);
  if (!is_abandoned(core, record)) return record;
  sweep(core, ns, record, wait);
  throw no_lease(ns, id);
}

std::vector<Lease> list_leases(Engine& engine, const std::string& ns,
                               const std::vector<std::string>& filters, const Wait& wait) {
  return list_leases(core_of(engine, wait), ns, filters, wait);
}

std::vector<Lease> list_leases(Core& core, const std::string& ns,
                               const std::vector<std::string>& filters, const Wait& wait) {
  const metadata::Filter filter(filters);
  std::vector<Lease> all = core.leases.list(ns, filter, wait);
  std::erase_if(all, [&](const Lease& record) {
    if (!is_abandoned(core, record)) return false;
    sweep(core, ns, record, wait);
    return true;
  });
  return all;
}

void remove_lease(Engine& engine, const std::string& ns, const std::string& id, int64_t created_ns,
                  const Wait& wait) {
  if (!release_lease(core_of(engine, wait), ns, id, created_ns, wait)) throw no_lease(ns, id);
}

void add_to_lease(Engine& engine, const std::string& ns, const std::string& id,
                  const LeaseResource& resource, const Wait& wait) {
  Core& core = core_of(engine, wait);
  core.leases.add(ns, id, object_of(core, ns, resource, wait), wait);
}

void drop_from_lease(Engine& engine, const std::string& ns, const std::string& id,
                     const LeaseResource& resource, const Wait& wait) {
  Core& core = core_of(engine, wait);
  core.leases.drop(ns, id, object_of(core, ns, resource, wait), wait);
}

std::vector<LeaseResource> lease_resources(Engine& engine, const std::string& ns,
                                           const std::string& id, const Wait& wait) {
  std::vector<LeaseResource> all;
  for (const auto& object : core_of(engine, wait).leases.resources(ns, id, wait))
    all.push_back({std::string(metadata::word_of(object.kind)), object.key, object.snapshotter});
  return all;
}

}  // namespace ctrd::engine
