// SPDX-License-Identifier: Apache-2.0
// What is done for a shim that was killed, by whoever finds its claim free: the task is killed, its
// cgroup removed, the exit recorded (137, lost "shim"; after a reboot 255, lost "reboot"). Its
// mounts went with its mount namespace. Idempotent.
#pragma once

#include <string>

#include "engine/claim.h"
#include "engine/core.h"

namespace ctrd::engine {

// For a bundle by its name. Does nothing if somebody else has the claim at wait's deadline (at most
// 5 s), or if it is gone.
void settle(Core& core, const std::string& ns, const std::string& id, const Wait& wait);
// For a bundle that we have claimed. False: there never was a task in it, or nobody can tell;
// discard it. Throws kDeadlineExceeded while something of it lives after `limit` (a process that
// the kernel does not let go): then all stays as it is, and a later call goes on.
bool settle_claimed(Claim& claim, Nanos limit = std::chrono::seconds(10));
// Kills this shim if it still lives, then settles: the way out when a shim does not answer.
void end_shim(Core& core, const std::string& ns, const std::string& id, const ProcessKey& shim);

}  // namespace ctrd::engine
