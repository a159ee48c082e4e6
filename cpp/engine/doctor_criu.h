// SPDX-License-Identifier: Apache-2.0
// Whether this machine can make checkpoints.
#pragma once

#include <utility>

#include "base/time.h"
#include "engine/core.h"
#include "engine/values.h"

namespace ctrd::engine {

// CRIU is there, and says itself whether it works on this kernel, tried; what it can still not do
// here is said too. Never needed.
Check criu_check(const Wait& wait);
// Major and minor, {0, 0} without one. Remembered.
std::pair<int, int> criu_version(Core& core, const Wait& wait);
// From here on it takes "network-lock skip".
inline constexpr std::pair<int, int> kCriuSkipsNetworkLock{4, 1};
// From Linux 6.16 on, what CRIU before 4.2 asks every socket is refused by those of networks.
bool refuses_network_sockets(std::pair<int, int> version);
// By what CRIU locks a network of the container's own.
bool has_iptables();
// Whether this runtime (a path) is built to use it, by its own words.
bool makes_checkpoints(const std::string& runtime, const Wait& wait);

// Whether it knows of namespaces that are restored empty: runc alone.
bool empties_namespaces(const std::string& runtime, const Wait& wait);
// Throws kUnimplemented (kCheckpoint): there is no CRIU, or this runtime cannot use it.
void need_criu(Core& core, const std::string& runtime, const Wait& wait);

}  // namespace ctrd::engine
