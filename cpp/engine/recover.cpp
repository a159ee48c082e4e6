// SPDX-License-Identifier: Apache-2.0
// What crashes have left: trash, containers of dead owners, bundles whose claim is free.
// Idempotent; any process, any time.
#include <fcntl.h>
#include <signal.h>

#include <set>

#include "base/error.h"
#include "base/files.h"
#include "base/identifier.h"
#include "base/log.h"
#include "engine/children.h"
#include "engine/criu_logs.h"
#include "engine/exits.h"
#include "engine/its_own.h"
#include "engine/leases.h"
#include "engine/leftovers.h"
#include "engine/other_task.h"
#include "engine/restored_layer.h"
#include "engine/settle.h"
#include "engine/snapshot_mount.h"
#include "engine/task.h"
#include "engine/verbs.h"

namespace ctrd::engine {
namespace {

// For the shims of a dead owner to end by themselves.
constexpr Nanos kOwnerLimit = std::chrono::seconds(5);

// For one container's processes to end.
constexpr Nanos kSettleLimit = std::chrono::seconds(2);

// One container that cannot be cleaned up now, whose files are damaged or whose processes do not
// end, must not make the whole root unusable: false, and the next recovery tries again.
template <typename F>
bool cleans(const std::string& what, const Wait& wait, const F& f) {
  try {
    f();
    return true;
  } catch (const Error& error) {
    if (!is_its_own(error, wait)) throw;
    log(Level::kWarning, what + " is not cleaned up yet: " + error.message());
    return false;
  }
}

void recover_trash(Core& core, const Wait& wait) {
  metadata::Removed left;
  left.trash = core.containers.trash(wait);
  if (left.trash.empty()) return;
  empty_trash(core, left);
}

bool sweep_owned(Core& core, uint64_t owner, const Wait& wait) {
  bool all = true;
  Wait limit = wait.within(kOwnerLimit);
  for (const auto& name : core.containers.owned(owner, wait)) {
    const std::string &ns = name.first, &id = name.second;
    wait.check();
    auto record = core.containers.find(ns, id, wait);
    bool dead = record && record->owner == owner && is_abandoned(core, ns, *record, wait);
    bool swept = false;
    if (dead)
      cleans("container " + id, wait, [&] { swept = sweep_by_force(core, ns, *record, limit); });
    all &= !dead || swept;
  }
  cleans("a lease", wait, [&] { all &= sweep_leases(core, owner, wait); });
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

// Lock files of owners without a record: of those who died while they gave their number back. A
// record is there before its file has a name, so the files are listed first.
void recover_owner_files(Core& core, const Wait& wait) {
  std::vector<std::string> names = list_dir(core.root.owners.get());
  std::erase_if(names, [](const auto& name) { return !is_identifier(name); });
  if (names.empty()) return;
  std::set<std::string> known;
  for (const auto& [number, owner] : core.containers.owners(wait))
    known.insert(std::to_string(number));
  for (const auto& name : names) {
    auto file = known.contains(name) ? std::nullopt
                                     : find_at(core.root.owners.get(), name, O_RDONLY | O_CLOEXEC);
    if (file && try_lock(file->get(), false)) unlink_at(core.root.owners.get(), name);
  }
}

template <typename F>
void for_each_bundle(Core& core, const Wait& wait, const F& f) {
  for (const auto& ns : list_dir(core.root.state.get())) {
    auto dir = is_identifier(ns) ? find_dir_at(core.root.state.get(), ns) : std::nullopt;
    if (!dir) continue;
    for (const auto& id : list_dir(dir->get())) {
      wait.check();
      if (is_identifier(id)) f(ns, id);
    }
  }
}

// Logs and restored layers of tasks whose bundles are gone, with a state directory that was wiped.
// A bundle names its own before there are any, so those are listed first.
void recover_outside(Core& core, const Wait& wait) {
  std::vector<std::string> logs = list_dir(core.root.logs.get());
  std::vector<std::string> layers = restored_layers(list_dir(core.root.snapshots.get()));
  if (logs.empty() && layers.empty()) return;
  std::set<std::string> instances;
  bool all = true;
  for_each_bundle(core, wait, [&](const std::string& ns, const std::string& id) {
    all &= cleans("container " + id, wait, [&] {
      if (auto status = find_status(core, ns, id)) instances.insert(status->instance);
    });
  });
  if (!all) return;  // one of them may be that one's
  for (const auto& name : logs)
    if (name != kCriuLogs && !instances.contains(name)) remove_tree_at(core.root.logs.get(), name);
  for (const auto& instance : layers)
    if (!instances.contains(instance)) remove_restored_layer(core, instance);
}

// A shim that is not ours goes on without a task when the client that deleted it has died before it
// could say so. False: there is none.
bool end_forgotten(Core& core, const std::string& ns, const std::string& id, const Wait& wait) {
  auto status = find_status(core, ns, id);
  bool is_other = status && !status->other_shim.empty();
  if (!is_other || core.containers.find(ns, id, wait)) return false;
  auto task = find_task(core, {ns, id, ""}, wait);
  if (task && task->exit) end_other_shim(*task);
  return true;
}

void recover_bundle(Core& core, const std::string& ns, const std::string& id, const Wait& wait) {
  std::optional<Claim> claim;
  Claimed claimed = claim_bundle(core, ns, id, wait.at_once(), &claim);
  if (claimed == Claimed::kHeld && end_forgotten(core, ns, id, wait))
    claimed = claim_bundle(core, ns, id, wait.at_once(), &claim);
  if (claimed != Claimed::kTaken) return;
  bool has_task = settle_claimed(*claim, kSettleLimit);
  if (has_task && core.containers.find(ns, id, wait)) {
    auto status = readable_status(claim->dir.get());
    if (status->on_exit == api::OnExit::kDelete) sweep_claimed(core, std::move(*claim));
    return;
  }
  if (has_task) keep_exit(*claim);
  discard(core, std::move(*claim));
}

// A container takes its time to die (its namespaces go with it), so those of dead shims are killed
// all at once, before one after another is settled.
void kill_orphans(Core& core, const Wait& wait) {
  for_each_bundle(core, wait, [&](const std::string& ns, const std::string& id) {
    std::optional<Claim> claim;
    if (claim_bundle(core, ns, id, Wait{}.at_once(), &claim) != Claimed::kTaken) return;
    auto status = readable_status(claim->dir.get());
    if (status && status->pid > 0) signal_process(init_of(*status), SIGKILL);
  });
}

void recover_namespace(Core& core, const std::string& ns, const Wait& wait) {
  auto dir = find_dir_at(core.root.state.get(), ns);
  if (!dir) return;
  expire_exits(dir->get());
  for (const auto& name : list_dir(dir->get())) {
    wait.check();
    if (name.starts_with(".new-") || name.starts_with(".del-"))
      remove_leftover(dir->get(), name);
    else if (is_identifier(name))
      cleans("container " + name, wait, [&] { recover_bundle(core, ns, name, wait); });
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
  kill_orphans(core, wait);
  recover_owners(core, wait);
  recover_owner_files(core, wait);
  recover_bundles(core, wait);
  recover_outside(core, wait);
  unmount_leftovers(core);  // before what was mounted goes
  recover_trash(core, wait);
  remove_leftovers(core, wait);
}

}  // namespace ctrd::engine
