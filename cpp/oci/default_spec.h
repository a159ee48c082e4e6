// SPDX-License-Identifier: Apache-2.0
// The spec that options alone give, before a caller's patch or function. Source: design.md 8;
// reliability.md C7; api.md, Defaults.
#pragma once

#include <string_view>

#include "oci/json.h"
#include "oci/options.h"

namespace ctrd::oci {

// Annotations of ours. Callers' must not begin with kReserved.
inline constexpr std::string_view kReserved = "ctrd.";
inline constexpr const char* kSeccompKey = "ctrd.seccomp";  // "default", "unconfined" or "custom"
inline constexpr const char* kInitKey = "ctrd.init";        // "shim": its program is process 1
inline constexpr const char* kDevKey = "ctrd.dev";          // "rootfs": no mount on /dev is wanted

Json default_spec(const SpecOptions& options, std::string_view id, std::string_view cgroups_path,
                  int rootfs_dir);

// What the checks of options and of whole specs share; each throws invalid(field, ...).
void check_cwd(std::string_view field, const std::string& cwd);
// That of a container of which nothing else is asked: its id, as far as a hostname goes.
std::string default_hostname(std::string_view id);
void check_hostname(std::string_view field, const std::string& hostname);

}  // namespace ctrd::oci
