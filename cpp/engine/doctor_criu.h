// SPDX-License-Identifier: Apache-2.0
// Whether this machine can make checkpoints.
#pragma once

#include <utility>

#include "base/time.h"
#include "engine/core.h"
#include "engine/values.h"

namespace ctrd::engine {

// CRIU is there, and says itself whether it works on this kernel, tried. Never needed.
Check criu_check(const Wait& wait);
// Major and minor, {0, 0} without one. Remembered.
std::pair<int, int> criu_version(Core& core, const Wait& wait);
// From here on it takes "network-lock skip".
inline constexpr std::pair<int, int> kCriuSkipsNetworkLock{4, 1};
// Whether this runtime (a path) is built to use it, by its own words.
bool makes_checkpoints(const std::string& runtime, const Wait& wait);

// Whether it knows of namespaces that are restored empty: runc alone.
bool empties_namespaces(const std::string& runtime, const Wait& wait);
// Throws kUnimplemented (kCheckpoint): there is no CRIU, or this runtime cannot use it.
void need_criu(Core& core, const std::string& runtime, const Wait& wait);

}  // namespace ctrd::engine
