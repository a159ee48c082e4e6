// SPDX-License-Identifier: Apache-2.0
// What a further process in a container is: the container's own process object with what a caller
// says changed. Not for running it. Source: api.pyi, ExecOptions; runtime-spec 1.1, Process.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ctrd::oci {

struct ExecOptions {
  std::vector<std::string> args;
  // Over the container's own; nullopt removes.
  std::vector<std::pair<std::string, std::optional<std::string>>> env;
  std::optional<std::string> cwd;  // absolute; nullopt: the container's
  std::string user;                // "": the container's; "uid", "uid:gid", "name", "name:group"
  bool tty = false;
  std::optional<std::pair<uint16_t, uint16_t>> console_size;  // cols, rows; only with tty
  std::vector<std::string> cap_add;  // beside the container's: "NET_ADMIN", "CAP_NET_ADMIN", "ALL"
};

// The OCI process object of an exec, compact JSON text for the runtime's --process.
//   Args:    config_json: the container's config.json, whose process is the base: env, cwd, user,
//            capabilities, rlimits, no_new_privileges.
//            root_dir: the container's root directory as it is now (an open descriptor of
//            /proc/<pid>/root), where names of users are looked up (-1: numbers only); what is in
//            it belongs to strangers. A user in digits is a number always.
//   Throws:  invalid naming the option; kNotFound for an unknown user or group;
//            kResourceExhausted for args and env beyond what the kernel takes, or a passwd file
//            beyond 1 MiB
std::string exec_process_json(std::string_view config_json, const ExecOptions& options,
                              int root_dir);

}  // namespace ctrd::oci
