// SPDX-License-Identifier: Apache-2.0
// linux.namespaces. The cgroup namespace is not in the stored spec: it belongs to cgroup v2 only,
// so config.json gets it.
#pragma once

#include <string_view>

#include "oci/json.h"

namespace ctrd::oci {

bool is_namespace(std::string_view type);
// network: "none" (its own, loopback only) or "host"; else invalid("network", ...).
Json namespaces_json(std::string_view network);
void add_cgroup_namespace(Json& linux_part);  // unless it has one

}  // namespace ctrd::oci
