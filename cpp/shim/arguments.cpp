// SPDX-License-Identifier: Apache-2.0
#include "shim/arguments.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace ctrd::shim {
namespace {

constexpr std::array<std::string_view, 5> kSwitches{"v", "version", "info", "debug", "containerd"};

bool is_switch(std::string_view flag) {
  return std::ranges::find(kSwitches, flag) != kSwitches.end();
}

std::string without_dashes(const std::string& flag) {
  return flag.substr(flag.starts_with("--") ? 2 : 1);
}

}  // namespace

std::string Arguments::get(const std::string& flag) const {
  auto found = flags.find(flag);
  return found == flags.end() ? "" : found->second;
}

Arguments parse_arguments(const std::vector<std::string>& args) {
  Arguments parsed;
  for (std::size_t i = 0; i < args.size(); ++i) {
    if (!args[i].starts_with('-') || args[i].size() < 2) {
      parsed.action = args[i];
      break;
    }
    std::string flag = without_dashes(args[i]);
    std::size_t equals = flag.find('=');
    if (equals != std::string::npos) {
      parsed.flags[flag.substr(0, equals)] = flag.substr(equals + 1);
    } else if (is_switch(flag) || i + 1 >= args.size()) {
      parsed.flags[flag] = "";
    } else {
      parsed.flags[flag] = args[++i];
    }
  }
  return parsed;
}

}  // namespace ctrd::shim
