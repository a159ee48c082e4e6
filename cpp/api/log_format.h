// SPDX-License-Identifier: Apache-2.0
// Private to this room: a record's header and a segment's name. The layout is told in frame_log.h.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "api/frame_log.h"

namespace ctrd::api {

constexpr std::size_t kLogHeader = 24;

struct LogHeader {
  uint32_t length = 0;
  Stream stream = Stream::kStdout;
  uint64_t seq = 0;
  int64_t time_ns = 0;
};
std::array<char, kLogHeader> encode_log_header(const LogHeader& header);
// Of the first kLogHeader bytes; nullopt: no record begins like that.
std::optional<LogHeader> decode_log_header(std::string_view bytes);

}  // namespace ctrd::api
