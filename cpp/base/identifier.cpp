// SPDX-License-Identifier: Apache-2.0
#include "base/identifier.h"

#include "base/error.h"

namespace ctrd {
namespace {

constexpr std::size_t kMaxIdentifier = 76;

bool is_alnum(char c) {  // not the locale's
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_separator(char c) { return c == '.' || c == '_' || c == '-'; }

// Why it is none; empty if it is one.
std::string_view fault_of(std::string_view value) {
  if (value.empty()) return "must not be empty";
  if (value.size() > kMaxIdentifier) return "must be at most 76 bytes";
  bool separated = true;  // so that a leading separator is one too many
  for (char c : value) {
    if (!is_alnum(c) && (separated || !is_separator(c)))
      return "must be letters and digits, joined by single '.', '_' or '-'";
    separated = !is_alnum(c);
  }
  return separated ? "must end with a letter or a digit" : "";
}

}  // namespace

bool is_identifier(std::string_view value) { return fault_of(value).empty(); }

void check_identifier(std::string_view field, std::string_view value) {
  if (auto fault = fault_of(value); !fault.empty()) throw invalid(field, value, fault);
}

void check_namespace(std::string_view ns) {
  if (ns.empty()) throw failed_precondition("namespace: is required").with("field", "namespace");
  check_identifier("namespace", ns);
}

}  // namespace ctrd
