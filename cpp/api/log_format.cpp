// SPDX-License-Identifier: Apache-2.0
#include "api/log_format.h"

#include <cstring>

namespace ctrd::api {
namespace {

constexpr std::string_view kMark = "ctr";

void put(char* to, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) to[i] = static_cast<char>(value >> (8 * (bytes - 1 - i)));
}

uint64_t get(const char* from, int bytes) {
  uint64_t value = 0;
  for (int i = 0; i < bytes; ++i) value = value << 8 | static_cast<unsigned char>(from[i]);
  return value;
}

bool is_stream(uint8_t value) { return value >= 1 && value <= 3; }

}  // namespace

std::array<char, kLogHeader> encode_log_header(const LogHeader& header) {
  std::array<char, kLogHeader> bytes{};
  put(bytes.data(), header.length, 4);
  put(bytes.data() + 4, static_cast<uint8_t>(header.stream), 1);
  std::memcpy(bytes.data() + 5, kMark.data(), kMark.size());
  put(bytes.data() + 8, header.seq, 8);
  put(bytes.data() + 16, static_cast<uint64_t>(header.time_ns), 8);
  return bytes;
}

std::optional<LogHeader> decode_log_header(std::string_view bytes) {
  if (bytes.size() < kLogHeader) return std::nullopt;
  auto stream = static_cast<uint8_t>(bytes[4]);
  uint64_t length = get(bytes.data(), 4);
  if (length > kMaxLogData || !is_stream(stream) || bytes.substr(5, kMark.size()) != kMark)
    return std::nullopt;
  return LogHeader{.length = static_cast<uint32_t>(length),
                   .stream = static_cast<Stream>(stream),
                   .seq = get(bytes.data() + 8, 8),
                   .time_ns = static_cast<int64_t>(get(bytes.data() + 16, 8))};
}

}  // namespace ctrd::api
