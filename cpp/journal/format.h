// SPDX-License-Identifier: Apache-2.0
// A record of the journal as bytes, and a segment's name. Pure: no file here.
//
//   "\n" | length of body, 8 hex digits | CRC-32C of body, 8 hex digits | body | "\n"
//
// Whatever stands before it (a torn record, garbage), a record begins with a newline and proves
// itself by its sum, so reading goes on at the next good one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ctrd::journal {

constexpr std::size_t kRecordHeader = 17;
constexpr std::size_t kRecordFrame = kRecordHeader + 1;  // what is not body
constexpr std::size_t kMaxBody = 256 << 10;

// Throws invalid for a body longer than kMaxBody.
std::string encode_record(std::string_view body);

struct Parsed {
  // kShort: what is there begins like a record and is not all of it.
  enum class Got { kRecord, kShort, kBad } got = Got::kBad;
  std::string_view body;
  std::size_t size() const { return kRecordFrame + body.size(); }
};
// What stands at the beginning of these bytes.
Parsed parse_record(std::string_view bytes);
// Where the next whole record begins, behind `from`; nullopt: none in these bytes.
std::optional<std::size_t> find_record(std::string_view bytes, std::size_t from);

}  // namespace ctrd::journal
