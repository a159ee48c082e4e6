// SPDX-License-Identifier: Apache-2.0
// What goes by itself: containers whose owner is dead, and those with on_exit="delete" whose task
// has ended. Whoever meets one removes it. Source: design.md 3.
#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "engine/children.h"
#include "engine/exits.h"
#include "engine/settle.h"
#include "engine/task.h"
#include "engine/verbs.h"

namespace ctrd::engine {
namespace {

using May = std::function<bool(const metadata::Container&)>;

// Record, layer and bundle; its exit stays readable.
void remove_swept(Core& core, Claim claim, const May& may) {
  const std::string ns = claim.ns, id = claim.id;
  keep_exit(claim);
  if (auto status = readable_status(claim.dir.get()))
    expect_end(static_cast<pid_t>(status->shim_pid));  // if it is a child of ours
  Discard at_end(core, std::move(claim));
  auto removed = core.containers.remove(ns, id, cleanup_wait(), may);
  if (!removed) return;
  core.made_containers.forget(ns, id);
  empty_trash(core, *removed);
}

// detach() tells the shim first and the record then. A process that died in between has left the
// second half to whoever comes.
bool finish_detach(Core& core, const std::string& ns, const metadata::Container& record,
                   const Wait& wait) {
  auto status = find_status(core, ns, record.id);
  if (!status || !status->detached) return false;
  metadata::Containers::Change change;
  change.lifetime = metadata::Lifetime::kDetached;
  change.may = [&](const metadata::Container& now) {
    return now.created_ns == record.created_ns && now.owner == record.owner;
  };
  try {
    core.containers.update(ns, record.id, change, wait);
  } catch (const Error& error) {  // it is another one by now, or gone
    if (error.code() != Code::kAborted && error.code() != Code::kNotFound) throw;
  }
  return true;
}

}  // namespace

bool is_abandoned(Core& core, const std::string& ns, const metadata::Container& record,
                  const Wait& wait) {
  return core.owner_has_died(record) && !finish_detach(core, ns, record, wait);
}

bool sweep(Core& core, const std::string& ns, const metadata::Container& record, const Wait& wait) {
  auto dir = core.find_dir(ns, record.id);
  auto status = dir ? readable_status(dir->get()) : std::nullopt;
  bool watches_none = status && !status->other_shim.empty();  // it does not know of any owner
  if (watches_none) end_shim(core, ns, record.id, shim_of(*status));
  std::optional<Claim> claim;
  Claimed claimed = claim_bundle(core, ns, record.id, wait, &claim);
  if (claimed == Claimed::kHeld) return false;
  if (claimed == Claimed::kTaken) settle_claimed(*claim);
  if (claimed == Claimed::kAbsent) claim = make_bundle(core, ns, record.id);
  if (!claim) return false;
  remove_swept(core, std::move(*claim), [&](const metadata::Container& now) {
    return now.created_ns == record.created_ns && now.owner == record.owner &&
           now.lifetime == metadata::Lifetime::kOwner;
  });
  return true;
}

bool sweep_by_force(Core& core, const std::string& ns, const metadata::Container& record,
                    const Wait& wait) {
  if (sweep(core, ns, record, wait)) return true;
  wait.check();
  if (auto status = find_status(core, ns, record.id))
    end_shim(core, ns, record.id, shim_of(*status));
  return sweep(core, ns, record, cleanup_wait(std::chrono::seconds(1)));
}

bool has_expired(const Task& task) {
  return task.exit && task.status.on_exit == api::OnExit::kDelete;
}

void sweep_claimed(Core& core, Claim claim) {
  remove_swept(core, std::move(claim), [](const metadata::Container& now) {
    return now.on_exit == metadata::OnExit::kDelete;
  });
}

bool sweep_expired(Core& core, const std::string& ns, const std::string& id, const Wait& wait) {
  std::optional<Claim> claim;
  Claimed claimed = claim_bundle(core, ns, id, wait, &claim);
  if (claimed != Claimed::kTaken) return claimed == Claimed::kAbsent;
  auto status = readable_status(claim->dir.get());
  bool expired = settle_claimed(*claim) && status->on_exit == api::OnExit::kDelete;
  if (expired) sweep_claimed(core, std::move(*claim));
  return true;
}

void sweep_expired_quietly(Core& core, const Task& task, const Wait& wait) {
  if (task.status.on_exit != api::OnExit::kDelete) return;
  try {
    sweep_expired(core, task.ns, task.id, wait);
  } catch (const Error& error) {
    log(Level::kWarning, "container " + task.id + " is not removed yet: " + error.message());
  }
}

}  // namespace ctrd::engine
