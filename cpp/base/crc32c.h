// SPDX-License-Identifier: Apache-2.0
// The checksum of records in the journal and in LevelDB's logs.
#pragma once

#include <cstdint>
#include <string_view>

namespace ctrd {

uint32_t crc32c(std::string_view bytes);  // Castagnoli. Source: RFC 3720, appendix B.4

}  // namespace ctrd
