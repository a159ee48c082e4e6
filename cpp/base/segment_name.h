// SPDX-License-Identifier: Apache-2.0
// Names of files that follow one another, in the framed log and in the journal: the position at
// which one begins, with so many digits that their order is that of the names.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ctrd {

std::string segment_name(uint64_t begin);
std::optional<uint64_t> parse_segment_name(std::string_view name);  // nullopt: another file

}  // namespace ctrd
