// SPDX-License-Identifier: Apache-2.0
// The command line, in Go's style: -x v, -x=v and --x are all the same, flags come before the
// action, unknown ones are ignored. Source: shim-protocol.md 2.2.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace ctrd::shim {

struct Arguments {
  std::map<std::string, std::string> flags;  // without dashes; "" for those without a value
  std::string action;                        // "" if there is none
  bool has(const std::string& flag) const { return flags.contains(flag); }
  std::string get(const std::string& flag) const;  // "" if absent
};

Arguments parse_arguments(const std::vector<std::string>& args);

}  // namespace ctrd::shim
