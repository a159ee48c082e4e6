// SPDX-License-Identifier: Apache-2.0
// What can be known of a container that is to take another's place, before that one's task ends.
#pragma once

#include <string>
#include <string_view>

#include "metadata/containers.h"

namespace ctrd::metadata {

// Throws what Containers::create with `replaces` would, for the records as they are now, and writes
// nothing.
void check_replace(Ledger& ledger, std::string_view ns, Container record, std::string_view spec,
                   const Wait& wait, const std::string& base);

}  // namespace ctrd::metadata
