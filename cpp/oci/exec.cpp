// SPDX-License-Identifier: Apache-2.0
#include "oci/exec.h"

#include <algorithm>

#include "base/error.h"
#include "oci/capabilities.h"
#include "oci/check_spec.h"
#include "oci/default_spec.h"
#include "oci/process.h"

namespace ctrd::oci {
namespace {

Json base_process(std::string_view config_json) {
  Json config = parse_json(config_json, "config.json");
  Member spec{&config, "config.json"};
  if (!config.is_object() || !find_object(spec, "process"))
    throw invalid("config.json", "process", "is missing");
  return std::move(config["process"]);
}

void set_env(Json& process, const ExecOptions& options) {
  auto env = process.value("env", std::vector<std::string>());
  auto is_term = [](const std::string& entry) { return entry.starts_with("TERM="); };
  if (options.tty && std::none_of(env.begin(), env.end(), is_term)) env.emplace_back("TERM=xterm");
  change_env(env, options.env);
  process["env"] = std::move(env);
}

void set_user(Json& process, const std::string& user, int root_dir) {
  if (user.empty()) return;
  Json umask = process.value(Json::json_pointer("/user/umask"), Json());
  process["user"] = user_json(user, root_dir);
  if (!umask.is_null()) process["user"]["umask"] = std::move(umask);
}

void add_capabilities(Json& process, const std::vector<std::string>& cap_add) {
  auto added = capabilities(cap_add, {"ALL"});  // those alone
  for (const char* set : {"bounding", "effective", "permitted"}) {
    Json& names = process["capabilities"][set];
    if (!names.is_array()) names = Json::array();
    for (const std::string& name : added) {
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    }
  }
}

}  // namespace

std::string exec_process_json(std::string_view config_json, const ExecOptions& options,
                              int root_dir) {
  Json process = base_process(config_json);
  process["args"] = args_json(options.args);
  process.erase("commandLine");
  if (options.cwd) {
    check_cwd("cwd", *options.cwd);
    process["cwd"] = *options.cwd;
  }
  set_env(process, options);
  set_user(process, options.user, root_dir);
  if (!options.cap_add.empty()) add_capabilities(process, options.cap_add);
  set_terminal(process, options.tty, options.console_size);
  Json whole = {{"process", std::move(process)}};
  check_process({&whole, "exec"});
  return dump_json(whole["process"], "args");
}

}  // namespace ctrd::oci
