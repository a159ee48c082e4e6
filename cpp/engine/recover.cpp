// SPDX-License-Identifier: Apache-2.0
// What crashes have left: trash, containers of dead owners, bundles whose claim is free.
// Idempotent; any process, any time.
#include "base/error.h"
#include "base/files.h"
#include "base/identifier.h"
#include "base/log.h"
#include "engine/children.h"
#include "engine/settle.h"
#include "engine/verbs.h"

namespace ctrd::engine {
namespace {

// For the shims of a dead owner to end by themselves.
constexpr Nanos kOwnerLimit = std::chrono::seconds(5);

void recover_trash(Core& core, const Wait& wait) {
  metadata::Removed left;
  left.trash = core.containers.trash(wait);
  if (left.trash.empty()) return;
  empty_trash(core, left);
}

bool sweep_owned(Core& core, uint64_t owner, const Wait& wait) {
  bool all = true;
  Wait limit = wait.within(kOwnerLimit);
  for (const auto& [ns, id] : core.containers.owned(owner, wait)) {
    wait.check();
    auto record = core.containers.find(ns, id, wait);
    if (record && record->owner == owner) all &= sweep_by_force(core, ns, *record, limit);
  }
  return all;
}

void recover_owners(Core& core, const Wait& wait) {
  for (const auto& [number, owner] : core.containers.owners(wait)) {
    if (core.owner->is_ours(number) || !owner_is_dead(core.root, number, owner.process)) continue;
    if (!sweep_owned(core, number, wait)) continue;
    core.containers.forget_owner(number, wait);
    unlink_at(core.root.owners.get(), std::to_string(number));
  }
}

void recover_bundle(Core& core, const std::string& ns, const std::string& id, const Wait& wait) {
  std::optional<Claim> claim;
  Wait now{TimePoint::min(), wait.interrupted};
  if (claim_bundle(core, ns, id, now, &claim) != Claimed::kTaken) return;
  bool has_task = settle_claimed(*claim);
  if (has_task && core.containers.find(ns, id, wait)) return;
  discard(core, std::move(*claim));
}

void recover_namespace(Core& core, const std::string& ns, const Wait& wait) {
  auto dir = find_dir_at(core.root.state.get(), ns);
  if (!dir) return;
  for (const auto& name : list_dir(dir->get())) {
    wait.check();
    if (name.starts_with(".new-") || name.starts_with(".del-"))
      remove_leftover(dir->get(), name);
    else if (is_identifier(name))
      recover_bundle(core, ns, name, wait);
  }
}

void recover_bundles(Core& core, const Wait& wait) {
  for (const auto& ns : list_dir(core.root.state.get()))
    if (is_identifier(ns)) recover_namespace(core, ns, wait);
}

}  // namespace

void recover(Core& core, const Wait& wait) {
  reap_children();
  core.containers.publish_left(wait);
  recover_owners(core, wait);
  recover_bundles(core, wait);
  recover_trash(core, wait);
}

}  // namespace ctrd::engine
