// SPDX-License-Identifier: Apache-2.0
// POSIX resource limits of the first process, and the clamp to what this machine allows: a hard
// limit is never raised.
#pragma once

#include <string_view>

#include "oci/json.h"
#include "oci/options.h"

namespace ctrd::oci {

bool is_rlimit(std::string_view name);  // "RLIMIT_NOFILE"
// process.rlimits: the default NOFILE 1024/1024 and what the caller wants. Throws
// invalid("rlimits", ...).
Json rlimits_json(const SpecOptions& options);
// Lowers every limit to the calling process's hard limit.
void clamp_rlimits(Json& rlimits);

}  // namespace ctrd::oci
