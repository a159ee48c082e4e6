// SPDX-License-Identifier: Apache-2.0
#include "engine/leftovers.h"

#include <charconv>
#include <set>

#include "base/files.h"
#include "base/leftover.h"
#include "oci/probe.h"

namespace ctrd::engine {
namespace {

std::optional<uint64_t> number_of(const std::string& name) {
  uint64_t n = 0;
  auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), n);
  if (error != std::errc() || end != name.data() + name.size()) return std::nullopt;
  return n;
}

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

// An owner's record is made before its lock file and removed before it, and no number comes twice.
void remove_owner_locks(Core& core, const Wait& wait) {
  std::set<uint64_t> numbers;
  for (const auto& name : list_dir(core.root.owners.get()))
    if (auto n = number_of(name); n && !core.owner->is_ours(*n)) numbers.insert(*n);
  if (numbers.empty()) return;
  for (const auto& [number, owner] : core.containers.owners(wait)) numbers.erase(number);
  for (uint64_t number : numbers) unlink_at(core.root.owners.get(), std::to_string(number));
}

}  // namespace

void remove_leftovers(Core& core, const Wait& wait) {
  for (int dir : {core.root.state.get(), core.root.owners.get()}) remove_those(dir, ".tmp-", wait);
  remove_those(core.root.state.get(), ".id-", wait);
  remove_those(core.root.snapshots.get(), oci::kProbePrefix, wait);
  remove_probes(core.root.state.get(), wait);
  remove_owner_locks(core, wait);
}

}  // namespace ctrd::engine
