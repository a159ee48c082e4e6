// SPDX-License-Identifier: Apache-2.0
// Tasks made from a checkpoint: where one is, whether it may be used, and what is made of it.
#pragma once

#include <string>

#include "engine/checkpoint.h"
#include "engine/checkpoint_files.h"
#include "engine/core.h"
#include "engine/launch.h"
#include "engine/verbs.h"
#include "metadata/checkpoints.h"

namespace ctrd::engine {

struct Source {
  Sealed sealed;
  bool is_ours = false;
  LockFd in_use = {};  // of a stored one: who deletes it waits
};
// Whole, of this machine, and made by this root unless allow_untrusted: throws kPermissionDenied,
// kDataLoss, kFailedPrecondition (kCheckpoint).
Source open_source(Core& core, const std::string& ns, const RestoreOptions& options,
                   const Wait& wait);

// The record of a container that goes on from a dump: `from` and `spec` are ours. Options' source
// is not looked at.
Draft draft_restored(Core& core, const std::string& ns, const metadata::Checkpoint& from,
                     const std::string& spec, const RestoreOptions& options, const Wait& wait);
// create_task.cpp. As create_task; `from`: its process is restored by Start.
NewTask create_task_from(Core& core, const TaskRef& ref, const Stdio& stdio, bool replace_stopped,
                         const Restoration* from, const Wait& wait);
// A layer means something only upon what it was made upon: throws kFailedPrecondition (kCheckpoint)
// naming both.
void check_ground(Core& core, const std::string& ns, const metadata::Container& record,
                  const Restoration& from, const Wait& wait);

}  // namespace ctrd::engine
