// SPDX-License-Identifier: Apache-2.0
#include "engine/leftovers.h"

#include "base/files.h"
#include "base/leftover.h"
#include "engine/new_checkpoint.h"
#include "oci/probe.h"

namespace ctrd::engine {
namespace {

void remove_those(int dir, std::string_view prefix, const Wait& wait) {
  for (const auto& name : list_dir(dir)) {
    wait.check();
    if (is_leftover(name, prefix)) remove_tree_at(dir, name);
  }
}

void remove_probes(int dir, const Wait& wait) {
  for (const auto& name : list_dir(dir)) {
    wait.check();
    if (is_leftover(name, oci::kProbePrefix)) oci::remove_probe(dir, name);
  }
}

}  // namespace

void remove_leftovers(Core& core, const Wait& wait) {
  for (int dir : {core.root.state.get(), core.root.owners.get()}) remove_those(dir, ".tmp-", wait);
  remove_those(core.root.state.get(), ".id-", wait);
  remove_those(core.root.snapshots.get(), oci::kProbePrefix, wait);
  remove_those(core.root.snapshots.get(), ".new-", wait);  // native copies
  remove_probes(core.root.state.get(), wait);
  remove_left_checkpoints(core, wait);
}

}  // namespace ctrd::engine
