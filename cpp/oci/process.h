// SPDX-License-Identifier: Apache-2.0
// The parts of an OCI process object that a container's first process and an exec have alike.
// Source: runtime-spec 1.1 config.md, Process.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "oci/json.h"

namespace ctrd::oci {

inline bool has_nul(std::string_view text) { return text.find('\0') != text.npos; }

using EnvChanges = std::vector<std::pair<std::string, std::optional<std::string>>>;

// Each throws invalid naming the option ("args", "env", "user").
Json args_json(const std::vector<std::string>& args);
// nullopt removes; what is set anew goes to the end.
void change_env(std::vector<std::string>& env, const EnvChanges& changes);
// user: "" is root; see resolve_user. additionalGids begins with the gid itself.
Json user_json(const std::string& user, int root_dir);
// terminal and consoleSize (cols, rows).
void set_terminal(Json& process, bool tty,
                  const std::optional<std::pair<uint16_t, uint16_t>>& size);

}  // namespace ctrd::oci
