// SPDX-License-Identifier: Apache-2.0
// The kernel's capabilities by name, and containerd's default fourteen. Source: capabilities(7),
// Linux 5.9 and later.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ctrd::oci {

bool is_capability(std::string_view name);  // "CAP_NET_ADMIN"

// Names with CAP_, each once, in the table's order. "NET_ADMIN", "CAP_NET_ADMIN" and "ALL" are
// understood, in any case. `drop` is taken first, so what is in both is granted. Throws
// invalid("cap_add" or "cap_drop", ...).
std::vector<std::string> capabilities(const std::vector<std::string>& add,
                                      const std::vector<std::string>& drop,
                                      bool privileged = false);

}  // namespace ctrd::oci
