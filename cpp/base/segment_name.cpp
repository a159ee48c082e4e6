// SPDX-License-Identifier: Apache-2.0
#include "base/segment_name.h"

#include <charconv>

namespace ctrd {
namespace {

constexpr std::size_t kNameDigits = 20;

}  // namespace

std::string segment_name(uint64_t begin) {
  std::string digits = std::to_string(begin);
  return std::string(kNameDigits - digits.size(), '0') + digits;
}

std::optional<uint64_t> parse_segment_name(std::string_view name) {
  uint64_t begin = 0;
  auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), begin);
  bool whole = error == std::errc() && end == name.data() + name.size();
  return whole && name.size() == kNameDigits ? std::optional(begin) : std::nullopt;
}

}  // namespace ctrd
