// SPDX-License-Identifier: Apache-2.0
#include "shim/mount_namespace.h"

#include <sched.h>
#include <sys/mount.h>

#include "base/error.h"

namespace ctrd::shim {

void enter_private_mount_namespace() {
  if (::unshare(CLONE_NEWNS) < 0) throw sys_error("making a mount namespace");
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) < 0)
    throw sys_error("making the mount namespace a slave");
}

}  // namespace ctrd::shim
