// SPDX-License-Identifier: Apache-2.0
// The claim of a bundle: whoever holds the flock of <state>/<ns>/<id> owns what happens to that
// task, and may rename or remove the directory. The shim inherits it; a lock that is free means
// that nobody supervises the task. Only a shim that is not ours inherits no lock: once its task is
// made, it holds the claim as long as it lives. Source: design.md 5.
#pragma once

#include <optional>
#include <string>

#include "engine/core.h"
#include "engine/fork.h"

namespace ctrd::engine {

struct Claim {
  LockFd dir;       // the bundle directory, locked
  UniqueFd parent;  // <state>/<ns>
  std::string ns, id;
  std::shared_ptr<Events> events;
  std::string cgroups_path;  // of its task, whatever its files say
  // Its shim is gone, so it is for us to tell of the task's deletion.
  std::optional<api::Event> deleted = {};
};

// A new, empty bundle that has its claim from birth: made under another name, locked, then renamed.
// nullopt: there is one already.
std::optional<Claim> make_bundle(const Core& core, const std::string& ns, const std::string& id);

enum class Claimed { kAbsent, kHeld, kTaken };
// Claims the bundle that is there. kHeld: somebody else still has it at wait's deadline.
Claimed claim_bundle(const Core& core, const std::string& ns, const std::string& id,
                     const Wait& wait, std::optional<Claim>* claim);

// Removes the bundle's directory, the logs of its task, and a layer that was not used. Needs the
// claim, so that it never takes a newer bundle of that id.
void discard(const Core& core, Claim claim);
// Leftovers of a crash in make_bundle or discard: hidden directories whose lock is free.
void remove_leftover(int ns_dir, const std::string& name);

}  // namespace ctrd::engine
