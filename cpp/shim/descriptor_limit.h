// SPDX-License-Identifier: Apache-2.0
// How many descriptors the shim may have. It needs one for each client that waits, so it takes as
// many as it may; what it executes gets the limit that the shim was started with (a container
// without rlimits of its own inherits it).
#pragma once

#include <cstddef>

namespace ctrd::shim {

// The soft limit up to the hard one; what it is then. Once, before anything is executed.
std::size_t raise_descriptor_limit();
// In a child between vfork and exec: only a system call.
void restore_descriptor_limit();

}  // namespace ctrd::shim
