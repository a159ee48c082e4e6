// SPDX-License-Identifier: Apache-2.0
// The little of TOML that options for a shim are written in: `Name = "text"`, `Name = true`,
// `Name = 12`, comments, in whatever table. No arrays, no nesting: what is not understood is left
// out.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace ctrd::shim {

class Toml {
 public:
  explicit Toml(std::string_view text);

  // "", false and 0 if it is not there. Throws invalid naming the key for another type.
  std::string text(const std::string& key) const;
  bool flag(const std::string& key) const;
  uint32_t number(const std::string& key) const;

 private:
  std::string get(const std::string& key) const;

  std::map<std::string, std::string> values_;  // as they are written
};

}  // namespace ctrd::shim
