// SPDX-License-Identifier: Apache-2.0
// How tasks ended whose bundle is gone, for those who wait later or elsewhere:
// <state>/<ns>/.exits/<id>, kept after on_exit="delete", a lost shim and a sweep. At most 1,000 in
// a namespace, for ten minutes, until the id is used again. Source: design.md 7.
#pragma once

#include <optional>
#include <string>

#include "api/bundle.h"
#include "engine/claim.h"
#include "engine/core.h"

namespace ctrd::engine {

// Of the bundle that we have claimed; nothing if there is no exit file. A failure (a full disk) is
// logged: what is being removed must go.
void keep_exit(const Claim& claim);
// The kept one of this instance ("": of whichever was the last).
std::optional<api::ExitFile> find_kept_exit(const Core& core, const TaskRef& ref);
void forget_exit(const Core& core, const std::string& ns, const std::string& id);
// Removes those that are too old, and the oldest beyond the limit.
void expire_exits(int ns_dir);

}  // namespace ctrd::engine
