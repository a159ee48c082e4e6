// SPDX-License-Identifier: Apache-2.0
// A mount namespace of our own, recursively slave: what the host mounts is seen here, what is
// mounted here goes with us.
#pragma once

namespace ctrd::shim {

// Throws sys_error.
void enter_private_mount_namespace();

}  // namespace ctrd::shim
