// SPDX-License-Identifier: Apache-2.0
// What is read of one entry of a tree, which a stranger may be changing: for copy_tree.cpp and
// layer_bytes.cpp.
#pragma once

#include <map>
#include <string>

#include "base/unique_fd.h"

namespace ctrd::snapshot {

inline constexpr int kMaxTreeDepth = 200;  // two descriptors a level

// What was a regular file when it was looked at: what it has become since is never waited for.
// Throws kAborted if it is none any more, and sys_error.
UniqueFd open_regular_at(int dir, const std::string& name);
std::string read_link_at(int dir, const std::string& name);  // throws sys_error
// Its extended attributes. path ends in "/." or in a name that is not followed. What means
// something to overlay alone is left out; of a layer, what it says of those below it is kept.
// Throws sys_error.
std::map<std::string, std::string> read_xattrs(const std::string& path, bool is_layer);

}  // namespace ctrd::snapshot
