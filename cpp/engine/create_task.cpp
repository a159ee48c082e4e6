// SPDX-License-Identifier: Apache-2.0
// The first half of a task's life: claim, record, bundle, shim, Create.
#include "base/error.h"
#include "base/identifier.h"
#include "engine/launch.h"
#include "engine/other_shim.h"
#include "engine/restore.h"
#include "engine/restored_layer.h"
#include "engine/settle.h"
#include "engine/task.h"
#include "engine/verbs.h"

namespace ctrd::engine {
namespace {

// An ended task in the way is deleted; a bundle that a crash left half-made too.
void clear_ended(Core& core, const std::string& ns, const std::string& id, bool replace_stopped,
                 const Wait& wait) {
  auto task = find_task(core, {ns, id, ""}, wait);
  if (task && has_expired(*task)) {
    sweep_expired(core, ns, id, wait.within(std::chrono::seconds(10)));
    return;  // its record is gone: that is said next
  }
  if (task && task->exit && replace_stopped) {
    auto ended = end_task(core, {ns, id, task->status.instance}, false, wait);
    Discard at_end(core, ended ? std::move(ended->claim) : std::nullopt);
    return;
  }
  if (task) return;
  std::optional<Claim> claim;
  if (claim_bundle(core, ns, id, wait.at_once(), &claim) != Claimed::kTaken) return;
  if (!settle_claimed(*claim)) discard(core, std::move(*claim));
}

std::optional<ProcessKey> owner_of(const metadata::Container& record) {
  if (record.lifetime == metadata::Lifetime::kDetached) return std::nullopt;
  return record.owner_process;
}

metadata::Full read_record(Core& core, const std::string& ns, const std::string& id,
                           const Wait& wait) {
  metadata::Full full = core.containers.get_full(ns, id, wait);
  if (is_abandoned(core, ns, full.record, wait))
    throw not_found(Kind::kContainer,
                    "container \"" + id + "\": its owner is gone, so it goes too");
  if (full.record.snapshot_number == 0)
    throw failed_precondition("container \"" + id + "\" has no snapshot", Kind::kContainer);
  return full;
}

}  // namespace

NewTask create_task(Core& core, const std::string& ns, const std::string& id, const Stdio& stdio,
                    bool replace_stopped, const Wait& wait) {
  return create_task_from(core, {ns, id, ""}, stdio, replace_stopped, nullptr, wait);
}

NewTask create_task_from(Core& core, const TaskRef& ref, const Stdio& stdio, bool replace_stopped,
                         const Restoration* from, const Wait& wait) {
  const std::string &ns = ref.ns, &id = ref.id;
  check_stdio(stdio);
  clear_ended(core, ns, id, replace_stopped, wait);
  Launch launch(core, ns, id, stdio);
  metadata::Full full = read_record(core, ns, id, wait);
  bool owned = full.record.lifetime == metadata::Lifetime::kOwner;
  check_supported(full.record.runtime_name,
                  {.owner = owned, .checkpoint = from != nullptr, .stdio = stdio});
  if (from != nullptr) check_ground(core, ns, full.record, *from, wait);
  launch.restore(from);
  Streams streams = launch.take_streams();
  NewTask task;
  try {
    launch.spawn(full.record, owner_of(full.record));
    launch.configure(full.spec, wait.within(core.config.rpc_timeout));
    if (from != nullptr) make_restored_layer(core, launch.instance(), *from, wait);
    Wait limit = wait.within(core.config.rpc_timeout);
    ttrpc::Call call = launch.create(full.record, 0, limit);
    while (!call.advance()) wait_ready(call.fd(), POLLIN, limit, "create the task");
    task.pid = launch.created(call, &streams);
  } catch (const Error& error) {
    launch.explain(error);
    throw;
  }
  task.instance = launch.instance();
  task.in = std::move(streams.in);
  task.out = std::move(streams.out);
  task.err = std::move(streams.err);
  launch.commit();
  return task;
}

}  // namespace ctrd::engine
