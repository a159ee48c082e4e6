// SPDX-License-Identifier: Apache-2.0
// detach(): from owner to detached. The shim is told first, and writes it into its status file:
// from then on the owner's death ends nothing. Then the record; who finds it dead in between
// finishes it (sweep.cpp). So at no time does the one think this and nobody clean up.
#include "base/error.h"
#include "base/identifier.h"
#include "engine/rpc.h"
#include "engine/task.h"
#include "engine/verbs.h"

namespace ctrd::engine {
namespace {

constexpr Nanos kMaking = std::chrono::seconds(10);

void detach_task(Core& core, const std::string& ns, const std::string& id, const Wait& wait) {
  auto task = find_task(core, {ns, id, ""}, wait);
  if (!task || task->exit || task->status.detached) return;
  ask_bytes(core, *task, api::kShimV1, "Detach", api::encode(api::Empty{}),
            wait.within(core.config.rpc_timeout));
}

// True while there is a bundle that somebody holds, without a task in it.
bool is_being_made(Core& core, const std::string& ns, const std::string& id, const Wait& wait) {
  if (find_task(core, {ns, id, ""}, wait)) return false;
  std::optional<Claim> claim;
  return claim_bundle(core, ns, id, Wait{}.at_once(), &claim) == Claimed::kHeld;
}

}  // namespace

void detach(Core& core, const std::string& ns, const std::string& id, const Wait& wait) {
  get(core, ns, id, wait);  // one whose owner has died is not there
  detach_task(core, ns, id, wait);
  metadata::Containers::Change change;
  change.lifetime = metadata::Lifetime::kDetached;
  core.containers.update(ns, id, change, wait);
  core.made_containers.forget(ns, id);
  // A task that was just being made may have been given its owner from the record of before.
  Wait limit = wait.within(kMaking);
  while (is_being_made(core, ns, id, limit) && !limit.expired())
    poll_until({}, limit.within(std::chrono::milliseconds(5)));
  detach_task(core, ns, id, wait);
}

}  // namespace ctrd::engine
