// SPDX-License-Identifier: Apache-2.0
#include "oci/process.h"

#include <algorithm>

#include "base/error.h"
#include "oci/user.h"

namespace ctrd::oci {
namespace {

void check_variable(const std::string& name, const std::optional<std::string>& value) {
  if (name.empty() || name.find('=') != std::string::npos || has_nul(name)) {
    throw invalid("env", name, "a variable's name must not be empty nor have = or NUL in it");
  }
  if (value && has_nul(*value)) throw invalid("env", name, "its value must not have NUL in it");
  if (!is_utf8(name) || (value && !is_utf8(*value))) throw invalid("env", name, "must be UTF-8");
}

}  // namespace

Json args_json(const std::vector<std::string>& args) {
  if (args.empty()) throw invalid("args", "", "name a program");
  if (args.front().empty()) throw invalid("args", "", "the program's name is empty");
  for (const std::string& arg : args) {
    if (has_nul(arg)) throw invalid("args", arg, "must not have NUL in it");
    if (!is_utf8(arg)) throw invalid("args", arg, "must be UTF-8");
  }
  return args;
}

void change_env(std::vector<std::string>& env, const EnvChanges& changes) {
  for (const auto& [name, value] : changes) {
    check_variable(name, value);
    std::string prefix = name + "=";
    std::erase_if(env, [&](const std::string& entry) { return entry.starts_with(prefix); });
    if (value) env.push_back(prefix + *value);
  }
}

// The group itself comes first among the additional ones (CVE-2023-25173: without it, files that
// deny their group are open).
Json user_json(const std::string& who, int root_dir) {
  User user = who.empty() ? User{} : resolve_user(who, root_dir);
  std::vector<uint32_t> groups = {user.gid};
  for (uint32_t gid : user.additional_gids) {
    if (std::find(groups.begin(), groups.end(), gid) == groups.end()) groups.push_back(gid);
  }
  return {{"uid", user.uid}, {"gid", user.gid}, {"additionalGids", groups}};
}

void set_terminal(Json& process, bool tty,
                  const std::optional<std::pair<uint16_t, uint16_t>>& size) {
  process["terminal"] = tty;
  process.erase("consoleSize");
  if (tty && size) process["consoleSize"] = {{"width", size->first}, {"height", size->second}};
}

}  // namespace ctrd::oci
