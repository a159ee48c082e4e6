// SPDX-License-Identifier: Apache-2.0
// Names of what exists only while one process makes it: a temporary file before its rename, a
// directory in which something is tried. The name says whose it is, so whoever finds it later
// knows whether it is still wanted.
#pragma once

#include <string>
#include <string_view>

namespace ctrd {

// "<prefix><pid>-<start time>-<hex digits>" of this process.
std::string name_of_ours(std::string_view prefix, std::size_t random_bytes = 8);
// Such a name with this prefix, whose process has ended.
bool is_leftover(std::string_view name, std::string_view prefix);

}  // namespace ctrd
