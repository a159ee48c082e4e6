// SPDX-License-Identifier: Apache-2.0
// What is read out of short texts: files' names, programs' words.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>

namespace ctrd {

// None unless it is digits and nothing else.
inline std::optional<uint64_t> to_number(std::string_view text) {
  uint64_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  bool is_whole = error == std::errc() && end == text.data() + text.size();
  return is_whole ? std::optional(number) : std::nullopt;
}

// Without the white space around it.
inline std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kWhite = " \t\r\n";
  std::size_t from = text.find_first_not_of(kWhite);
  if (from == text.npos) return {};
  return text.substr(from, text.find_last_not_of(kWhite) - from + 1);
}

}  // namespace ctrd
