// SPDX-License-Identifier: Apache-2.0
// A runtime whose shim was killed dies with it, but a moment after the claim is free: until then it
// goes on making cgroups behind the back of whoever cleans up. Its criu does not die with it.
#pragma once

#include <string>

namespace ctrd::engine {

// Kills those that work on this bundle, and waits until they are gone. Looks at all processes.
void kill_runtime(const std::string& bundle);

}  // namespace ctrd::engine
