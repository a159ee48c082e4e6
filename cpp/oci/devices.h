// SPDX-License-Identifier: Apache-2.0
// The host's device nodes that a container is given beside those of a fresh /dev. Source:
// runtime-spec config-linux.md, Devices; null(4) and the rest every container has.
#pragma once

#include "oci/json.h"
#include "oci/options.h"

namespace ctrd::oci {

// linux.devices. Each option is "source[:destination[:rwm]]". Throws invalid("devices", ...): no
// device, a bad destination or access; kNotFound (kPath) for a source that is not there.
// privileged: with all that are in /dev now.
Json devices_json(const SpecOptions& options);
// Allows them in linux.resources.devices; privileged: all devices there are.
void add_device_rules(Json& rules, const SpecOptions& options);

}  // namespace ctrd::oci
