// SPDX-License-Identifier: Apache-2.0
// The TOML that options for a shim may be written in: keys of the outermost table.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace ctrd::shim {

class Toml {
 public:
  // Throws invalid with line and column for what is no TOML.
  explicit Toml(std::string_view text);
  ~Toml();
  Toml(Toml&&) = delete;

  // "", false and 0 if it is not there. Throws invalid naming the key for another type.
  std::string text(std::string_view key) const;
  bool flag(std::string_view key) const;
  uint32_t number(std::string_view key) const;

 private:
  struct Table;

  template <typename T>
  T get(std::string_view key, std::string_view wanted) const;

  std::unique_ptr<Table> table_;
};

}  // namespace ctrd::shim
