// SPDX-License-Identifier: Apache-2.0
// The bytes of one regular file: shared with the original where the filesystem can (FICLONE), else
// copied by the kernel (copy_file_range(2)), else by us. Holes stay holes.
#pragma once

#include "base/time.h"

namespace ctrd::snapshot {

// to: open for writing, empty. Asks wait.check() now and then; throws sys_error.
void copy_file(int from, int to, const Wait& wait);

}  // namespace ctrd::snapshot
