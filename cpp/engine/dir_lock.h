// SPDX-License-Identifier: Apache-2.0
// Directories that are locked (flock) by who works in them, and may be renamed meanwhile.
#pragma once

#include <string>

#include "engine/fork.h"

namespace ctrd::engine {

// Not locked yet; none if it is absent.
LockFd open_lockable(int parent, const std::string& name);
// True if `name` in parent is the very directory that is open as dir.
bool is_named(int parent, const std::string& name, int dir);

// Besides: that a directory is in use, by any number of descriptors; asking is in nobody's way.
// It ends with the descriptor and its copies, also those that forked children have inherited.
void start_using(int dir);
void stop_using(int dir) noexcept;
bool is_in_use(int dir);

}  // namespace ctrd::engine
