// SPDX-License-Identifier: Apache-2.0
// What containerd writes to a shim's program before there is a connection.
#pragma once

#include <string>

namespace ctrd::shim {

// All of stdin to its end; "" without one. Throws kResourceExhausted for more than a message may
// have.
std::string read_stdin();

}  // namespace ctrd::shim
