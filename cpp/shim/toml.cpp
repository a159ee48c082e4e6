// SPDX-License-Identifier: Apache-2.0
#include "shim/toml.h"

#include <algorithm>
#include <charconv>
#include <cstdint>

#include "base/error.h"

namespace ctrd::shim {
namespace {

constexpr std::string_view kBlank = " \t\r";

std::string_view trimmed(std::string_view text) {
  std::size_t first = text.find_first_not_of(kBlank);
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

// Up to a comment, which a string may have in it.
std::string_view value_part(std::string_view text) {
  text = trimmed(text);
  bool quoted = text.starts_with('"') || text.starts_with('\'');
  std::size_t end = quoted ? text.find(text.front(), 1) : text.npos;
  if (end != text.npos) return text.substr(0, end + 1);
  return trimmed(text.substr(0, text.find('#')));
}

}  // namespace

Toml::Toml(std::string_view text) {
  while (!text.empty()) {
    std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    std::size_t equals = line.find('=');
    if (line.starts_with('#') || line.starts_with('[') || equals == line.npos) continue;
    values_[std::string(trimmed(line.substr(0, equals)))] = value_part(line.substr(equals + 1));
  }
}

std::string Toml::get(const std::string& key) const {
  auto found = values_.find(key);
  return found == values_.end() ? "" : found->second;
}

std::string Toml::text(const std::string& key) const {
  std::string value = get(key);
  if (value.empty()) return value;
  bool quoted = value.size() >= 2 && value.front() == value.back() &&
                (value.front() == '"' || value.front() == '\'');
  if (!quoted) throw invalid(key, value, "is not a string");
  return value.substr(1, value.size() - 2);
}

bool Toml::flag(const std::string& key) const {
  std::string value = get(key);
  if (!value.empty() && value != "true" && value != "false")
    throw invalid(key, value, "is neither true nor false");
  return value == "true";
}

uint32_t Toml::number(const std::string& key) const {
  std::string value = get(key);
  uint32_t number = 0;
  auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (!value.empty() && (error != std::errc() || end != value.data() + value.size()))
    throw invalid(key, value, "is not a number from 0 to 4294967295");
  return number;
}

}  // namespace ctrd::shim
