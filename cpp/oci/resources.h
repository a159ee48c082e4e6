// SPDX-License-Identifier: Apache-2.0
// linux.resources: which device nodes work, and the limits on memory, CPU and processes. Source:
// runtime-spec config-linux.md; reliability.md C7.
#pragma once

#include "oci/json.h"
#include "oci/options.h"

namespace ctrd::oci {

// The default device rules, pids 2048 unless said otherwise, and the limits given. Throws invalid
// naming the option.
Json resources_json(const ResourceOptions& options);
// Changes linux.resources of a spec: what options do not name stays. Throws invalid naming the
// option.
void apply_resources(Json& resources, const ResourceOptions& options);

}  // namespace ctrd::oci
