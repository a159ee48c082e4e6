// SPDX-License-Identifier: Apache-2.0
// What containerd's clients write into the stdio fields of Create and Exec, in our words
// (api/bundle.h): a FIFO or a file, or a URI in stdout that speaks for both outputs. Source:
// shim-protocol.md 6.1, 6.6.
#pragma once

#include "shim/stdio.h"

namespace ctrd::shim {

// A file that file:// names is made here. Throws invalid naming the field, also for a scheme that
// is unknown.
StdioPaths containerd_stdio(StdioPaths paths);

}  // namespace ctrd::shim
