// SPDX-License-Identifier: Apache-2.0
// containerd's identifier rule (semantics.md S2): 1 to 76 bytes of [A-Za-z0-9]+ joined by single
// '.', '_' or '-'.
#pragma once

#include <string>
#include <string_view>

namespace ctrd {

bool is_identifier(std::string_view value);
// Throws invalid(field, value, why).
void check_identifier(std::string_view field, std::string_view value);
// The same for a namespace; none at all is kFailedPrecondition (semantics.md S5).
void check_namespace(std::string_view ns);

}  // namespace ctrd
