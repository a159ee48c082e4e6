// SPDX-License-Identifier: Apache-2.0
#include "shim/toml.h"

#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

#include <limits>
#include <sstream>

#include "base/error.h"

namespace ctrd::shim {
namespace {

std::string shown(const toml::node& node) {
  std::ostringstream out;
  out << node.type() << " in line " << node.source().begin.line;
  return out.str();
}

toml::table parse(std::string_view text) {
  try {
    return toml::parse(text);
  } catch (const toml::parse_error& error) {
    const toml::source_position& at = error.source().begin;
    throw invalid("config_body",
                  "line " + std::to_string(at.line) + ", column " + std::to_string(at.column),
                  std::string(error.description()));
  }
}

}  // namespace

struct Toml::Table {
  toml::table keys;
};

Toml::Toml(std::string_view text) : table_(new Table{parse(text)}) {}

Toml::~Toml() = default;

template <typename T>
T Toml::get(std::string_view key, std::string_view wanted) const {
  const toml::node* node = table_->keys.get(key);
  if (node == nullptr) return {};
  if (auto value = node->value_exact<T>()) return *value;
  throw invalid(std::string(key), shown(*node), wanted);
}

std::string Toml::text(std::string_view key) const {
  return get<std::string>(key, "is not a string");
}

bool Toml::flag(std::string_view key) const { return get<bool>(key, "is neither true nor false"); }

uint32_t Toml::number(std::string_view key) const {
  constexpr std::string_view kWanted = "is not a number from 0 to 4294967295";
  auto number = get<int64_t>(key, kWanted);
  if (number < 0 || number > std::numeric_limits<uint32_t>::max())
    throw invalid(std::string(key), std::to_string(number), kWanted);
  return static_cast<uint32_t>(number);
}

}  // namespace ctrd::shim
