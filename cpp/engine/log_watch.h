// SPDX-License-Identifier: Apache-2.0
// Being told that something was appended to a framed log.
#pragma once

#include <chrono>

#include "base/time.h"
#include "base/unique_fd.h"

namespace ctrd::engine {

// Where no inotify instance can be had, and because a rotated segment's first event could be
// missed.
inline constexpr Nanos kLookAgain = std::chrono::milliseconds(100);

// Readable when something has been appended to a log in this directory; closed if there is no
// inotify instance left.
UniqueFd watch_log(int dir);
// After it was readable. Closes it if it tells nothing any more.
void forget_changes(UniqueFd* watch);

}  // namespace ctrd::engine
