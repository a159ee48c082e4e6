// SPDX-License-Identifier: Apache-2.0
// Names of content: "sha256:" and 64 lower-case hex digits, nothing else. What passes here is safe
// as a part of a path. Source: OCI image spec, descriptor.md; semantics.md S10.
#pragma once

#include <string_view>

namespace ctrd {

bool is_digest(std::string_view value);
// Throws invalid(field, value, why).
void check_digest(std::string_view field, std::string_view value);
// The digits of one that was checked.
std::string_view hex_of(std::string_view digest);

}  // namespace ctrd
