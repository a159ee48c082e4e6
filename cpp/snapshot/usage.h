// SPDX-License-Identifier: Apache-2.0
// What a tree takes on the disk.
#pragma once

#include <cstdint>

#include "base/time.h"

namespace ctrd::snapshot {

struct Usage {
  uint64_t size = 0;    // bytes of the blocks that are there, so holes count nothing
  uint64_t inodes = 0;  // a file with many names is one
};

// By directory descriptors; what vanishes meanwhile is left out. Throws sys_error.
Usage usage_of(int dir, const Wait& wait);

}  // namespace ctrd::snapshot
