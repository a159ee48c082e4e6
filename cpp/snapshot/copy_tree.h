// SPDX-License-Identifier: Apache-2.0
// A directory tree, copied as it is: files (copy_file.h), hard links among them, symlinks, devices,
// FIFOs and sockets, owners, modes, times and extended attributes. By directory descriptors: no
// symlink is followed, and what is exchanged meanwhile never waited for. What means something to
// overlay alone (trusted.overlay.*, user.overlay.*) is left out, for it could redirect where the
// copy is mounted.
#pragma once

#include "base/time.h"

namespace ctrd::snapshot {

// to: an empty directory, which gets from's attributes. Nobody may be changing `from`. Throws
// sys_error; kResourceExhausted beyond 200 levels. What is half done when it throws stays there.
void copy_tree(int from, int to, const Wait& wait);
// The same of a layer above the very same one: that it hides what is below it, or has moved it, is
// kept. Never of a stranger's.
void copy_layer(int from, int to, const Wait& wait);

}  // namespace ctrd::snapshot
