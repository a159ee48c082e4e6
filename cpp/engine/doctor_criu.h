// SPDX-License-Identifier: Apache-2.0
// Whether this machine can make checkpoints.
#pragma once

#include "base/time.h"
#include "engine/values.h"

namespace ctrd::engine {

// CRIU is there, and says itself whether it works on this kernel, tried. Never needed.
Check criu_check(const Wait& wait);
// Whether this runtime (a path) is built to use it, by its own words.
bool makes_checkpoints(const std::string& runtime, const Wait& wait);

}  // namespace ctrd::engine
