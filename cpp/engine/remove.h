// SPDX-License-Identifier: Apache-2.0
// The way in which a container goes, for who does more in its batch than to remove it.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "engine/core.h"

namespace ctrd::engine {

// Ends its task as end_task does; then, under the claim of its bundle, drop: what that returns is
// emptied. False: there was neither.
bool end_and(Core& core, const std::string& ns, const std::string& id, bool force, const Wait& wait,
             const std::function<std::optional<metadata::Removed>()>& drop);

}  // namespace ctrd::engine
