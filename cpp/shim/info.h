// SPDX-License-Identifier: Apache-2.0
// -info: what this shim is, and what its runtime can do, for clients of containerd 2. Source:
// shim-protocol.md 2.12.
#pragma once

#include <string>

namespace ctrd::shim {

// options: of stdin, an Any; may be "". Returns the RuntimeInfo to be printed.
std::string runtime_info(const std::string& options);

}  // namespace ctrd::shim
