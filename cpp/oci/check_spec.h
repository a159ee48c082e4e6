// SPDX-License-Identifier: Apache-2.0
// The checks of a whole spec, on JSON that is parsed already; see check_spec in spec.h.
#pragma once

#include "oci/json_read.h"

namespace ctrd::oci {

void check_spec_json(const Json& spec);
// spec.process: args, env, cwd, user, rlimits, capabilities, oomScoreAdj.
void check_process(const Member& spec);
// Only settings of the container's own namespaces, which linux_part names.
void check_sysctls(const Member& sysctls, const Member& linux_part);

}  // namespace ctrd::oci
