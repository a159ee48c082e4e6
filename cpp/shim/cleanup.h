// SPDX-License-Identifier: Apache-2.0
// The action delete, as containerd gives it whenever a connection to a shim has ended, also in the
// usual way: ends what may be left of shim and container, and says how the container ended. It
// works from the bundle's files alone. Source: shim-protocol.md 2.8.
#pragma once

#include <string>

#include "shim/arguments.h"

namespace ctrd::shim {

// Returns the DeleteResponse to be printed. What cannot be removed is logged.
std::string delete_shim(const Arguments& arguments);

}  // namespace ctrd::shim
