// SPDX-License-Identifier: Apache-2.0
// All that copy_layer copies of a tree but times, as one sequence of bytes, for a digest: it is
// another one whenever a name, type, mode, owner, device, link, attribute or content is. What it
// does not depend on: the order of directories, and where files have holes.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "base/time.h"

namespace ctrd::snapshot {

// Returns the sum of its files' sizes. Links are not followed; what is exchanged meanwhile is never
// waited for. Throws sys_error; kResourceExhausted beyond 200 levels.
uint64_t read_layer(int dir, const std::function<void(std::string_view)>& take, const Wait& wait);

}  // namespace ctrd::snapshot
