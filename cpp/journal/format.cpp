// SPDX-License-Identifier: Apache-2.0
#include "journal/format.h"

#include <array>
#include <charconv>
#include <cstdio>

#include "base/crc32c.h"
#include "base/error.h"

namespace ctrd::journal {
namespace {

constexpr std::size_t kHexDigits = 8;

std::optional<uint32_t> parse_hex(std::string_view digits) {
  uint32_t value = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

}  // namespace

std::string encode_record(std::string_view body) {
  if (body.size() > kMaxBody)
    throw invalid("event", std::to_string(body.size()), "longer than a record may be, in bytes");
  std::array<char, kRecordHeader + 1> header;
  std::snprintf(header.data(), header.size(), "\n%08x%08x", static_cast<unsigned>(body.size()),
                static_cast<unsigned>(crc32c(body)));
  std::string record(header.data(), kRecordHeader);
  record.append(body).push_back('\n');
  return record;
}

Parsed parse_record(std::string_view bytes) {
  using Got = Parsed::Got;
  if (bytes.empty()) return {Got::kShort, {}};
  if (bytes[0] != '\n') return {Got::kBad, {}};
  if (bytes.size() < kRecordHeader)
    return {bytes.size() == 1 || parse_hex(bytes.substr(1, kHexDigits)) ? Got::kShort : Got::kBad,
            {}};
  auto length = parse_hex(bytes.substr(1, kHexDigits));
  auto sum = parse_hex(bytes.substr(1 + kHexDigits, kHexDigits));
  if (!length || !sum || *length > kMaxBody) return {Got::kBad, {}};
  if (bytes.size() < kRecordFrame + *length) return {Got::kShort, {}};
  std::string_view body = bytes.substr(kRecordHeader, *length);
  bool good = bytes[kRecordHeader + *length] == '\n' && crc32c(body) == *sum;
  return good ? Parsed{Got::kRecord, body} : Parsed{Got::kBad, {}};
}

std::optional<std::size_t> find_record(std::string_view bytes, std::size_t from) {
  for (std::size_t at = bytes.find('\n', from); at != bytes.npos; at = bytes.find('\n', at + 1))
    if (parse_record(bytes.substr(at)).got == Parsed::Got::kRecord) return at;
  return std::nullopt;
}

}  // namespace ctrd::journal
