// SPDX-License-Identifier: Apache-2.0
#include "base/digest.h"

#include "base/error.h"

namespace ctrd {
namespace {

constexpr std::string_view kAlgorithm = "sha256:";
constexpr std::size_t kDigits = 64;

bool is_hex(std::string_view digits) {
  return digits.find_first_not_of("0123456789abcdef") == digits.npos;
}

}  // namespace

std::string_view hex_of(std::string_view digest) { return digest.substr(kAlgorithm.size()); }

bool is_digest(std::string_view value) {
  return value.starts_with(kAlgorithm) && value.size() == kAlgorithm.size() + kDigits &&
         is_hex(hex_of(value));
}

void check_digest(std::string_view field, std::string_view value) {
  if (is_digest(value)) return;
  bool known = value.starts_with(kAlgorithm);
  throw invalid(field, value,
                known ? "must have 64 lower-case hex digits" : "must begin with \"sha256:\"");
}

}  // namespace ctrd
