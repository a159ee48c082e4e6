// SPDX-License-Identifier: Apache-2.0
// Deleting containers: the task first, then record and layer in one batch under the bundle's claim,
// then directories outside every lock.
#include "engine/remove.h"

#include "base/error.h"
#include "base/files.h"
#include "base/identifier.h"
#include "base/log.h"
#include "engine/children.h"
#include "engine/settle.h"
#include "engine/snapshot_layer.h"
#include "engine/verbs.h"

namespace ctrd::engine {
namespace {

std::optional<metadata::Removed> remove_record(Core& core, const std::string& ns,
                                               const std::string& id, const Wait& wait) {
  auto removed = core.containers.remove(ns, id, wait);
  if (removed) core.made_containers.forget(ns, id);
  return removed;
}

bool absent(const std::string& ns, const std::string& id, bool missing_ok) {
  if (missing_ok) return false;
  throw not_found(Kind::kContainer, "container \"" + id + "\": not found in namespace " + ns)
      .with("id", id);
}

// There is a bundle, but no task in it yet, or none any more: it is being made, or removed, or was
// left by a crash.
void clear_way(Core& core, const std::string& ns, const std::string& id, bool force,
               const Wait& wait) {
  wait.check();
  if (wait.expired()) throw_timeout("delete container \"" + id + "\"", wait);
  std::optional<Claim> claim;
  Claimed claimed = claim_bundle(core, ns, id, wait.within(std::chrono::milliseconds(500)), &claim);
  if (claimed == Claimed::kTaken && !settle_claimed(*claim)) discard(core, std::move(*claim));
  if (claimed == Claimed::kHeld && !force)
    throw failed_precondition("container \"" + id + "\": a task of it is just being made",
                              Kind::kTask);
}

// Layers that somebody sees through a mount; looked for when it matters.
class InUse {
 public:
  explicit InUse(Core& core) : core_(core) {}
  bool has(uint64_t layer) {
    if (!layers_) layers_ = layers_in_use(core_);
    return layers_->contains(layer);
  }

 private:
  Core& core_;
  std::optional<std::map<uint64_t, std::string>> layers_;
};

}  // namespace

Discard::~Discard() {
  try {
    if (claim_) discard(core_, std::move(*claim_));
    reap_ending(Wait{}.at_once());
  } catch (const std::exception& error) {
    log(Level::kWarning, std::string("a bundle could not be removed: ") + error.what());
  }
}

void empty_trash(Core& core, const metadata::Removed& removed) {
  std::vector<uint64_t> done;
  InUse in_use(core);
  for (const auto& [number, trash] : removed.trash) {
    try {
      const uint64_t layer = trash.kind == "snapshot" ? std::stoull(trash.name) : 0;
      // Upon a container's own nothing stands. What somebody sees stays, with its key.
      if (layer && layer != removed.record.snapshot_number && in_use.has(layer)) continue;
      if (layer) remove_layer(core, layer);
      if (trash.kind == "blob") core.content.remove_unheld(trash.name, cleanup_wait());
      if (trash.kind == "logs") remove_tree_at(core.root.logs.get(), trash.name);
      done.push_back(number);
    } catch (const std::exception& error) {  // its key stays, so recover tries again
      log(Level::kWarning, "trash " + trash.kind + " " + trash.name + ": " + error.what());
    }
  }
  core.containers.forget_trash_later(done);
}

bool remove(Core& core, const std::string& ns, const std::string& id, bool force, bool missing_ok,
            const Wait& wait) {
  check_namespace(ns);
  check_identifier("id", id);
  auto drop = [&] { return remove_record(core, ns, id, wait); };
  return end_and(core, ns, id, force, wait, drop) || absent(ns, id, missing_ok);
}

bool end_and(Core& core, const std::string& ns, const std::string& id, bool force, const Wait& wait,
             const std::function<std::optional<metadata::Removed>()>& drop) {
  bool any = false;
  for (;;) {
    auto ended = end_task(core, {ns, id, ""}, force, wait);
    auto claim = ended ? std::move(ended->claim) : make_bundle(core, ns, id);
    if (!claim) {
      if (!ended) clear_way(core, ns, id, force, wait);
      any |= ended && ended->expires;  // another may have swept what we have ended
      continue;
    }
    Discard at_end(core, std::move(claim));
    auto removed = drop();
    if (!removed) return any;
    empty_trash(core, *removed);
    return true;
  }
}

}  // namespace ctrd::engine
