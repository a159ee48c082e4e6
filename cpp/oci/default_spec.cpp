// SPDX-License-Identifier: Apache-2.0
#include "oci/default_spec.h"

#include <algorithm>

#include "base/error.h"
#include "oci/capabilities.h"
#include "oci/check_spec.h"
#include "oci/devices.h"
#include "oci/mounts.h"
#include "oci/namespaces.h"
#include "oci/process.h"
#include "oci/resources.h"
#include "oci/rlimits.h"
#include "oci/seccomp.h"

namespace ctrd::oci {
namespace {

constexpr std::size_t kMaxHostname = 64;      // sethostname(2)
constexpr std::size_t kDefaultHostname = 63;  // a DNS label
constexpr const char* kPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

Json env_json(const SpecOptions& options) {
  std::vector<std::string> env = {kPath};
  if (options.tty) env.emplace_back("TERM=xterm");
  change_env(env, options.env);
  return env;
}

Json capabilities_json(const SpecOptions& options) {
  Json names = capabilities(options.cap_add, options.cap_drop, options.privileged);
  return {{"bounding", names}, {"effective", names}, {"permitted", names}};
}

Json process_json(const SpecOptions& options, int rootfs_dir) {
  check_cwd("cwd", options.cwd);
  Json process = {{"args", args_json(options.args)},
                  {"env", env_json(options)},
                  {"cwd", options.cwd},
                  {"user", user_json(options.user, rootfs_dir)},
                  {"capabilities", capabilities_json(options)},
                  {"noNewPrivileges", options.no_new_privileges.value_or(!options.privileged)},
                  {"rlimits", rlimits_json(options)}};
  set_terminal(process, options.tty, options.console_size);
  return process;
}

std::string hostname_of(const SpecOptions& options, std::string_view id) {
  std::string name = options.hostname;
  if (name.empty()) name = default_hostname(id);
  check_hostname("hostname", name);
  return name;
}

Json annotations_json(const SpecOptions& options) {
  Json annotations = Json::object();
  for (const auto& [key, value] : options.annotations) {
    if (key.empty() || key.starts_with(kReserved)) {
      throw invalid("annotations", key, "must not be empty nor begin with \"ctrd.\"");
    }
    annotations[key] = value;
  }
  return annotations;
}

// The whole profile, or nothing: the default one is stored by its name.
Json seccomp_json(const SpecOptions& options) {
  if (options.seccomp_json.empty()) return nullptr;
  Json profile = parse_json(options.seccomp_json, "seccomp");
  if (!profile.is_object())
    throw invalid("seccomp", profile.type_name(), "a profile must be an object");
  check_seccomp({&profile, "seccomp"});
  return profile;
}

const char* seccomp_name(const SpecOptions& options) {
  if (!options.seccomp_json.empty()) return "custom";
  if (options.seccomp.empty()) return options.privileged ? "unconfined" : "default";
  if (options.seccomp == "default") return "default";
  if (options.seccomp == "unconfined") return "unconfined";
  throw invalid("seccomp", options.seccomp, "must be default, unconfined or a profile");
}

Json sysctls_json(const SpecOptions& options, const Json& linux_part) {
  Json sysctls = options.sysctls;
  check_sysctls({&sysctls, "sysctls"}, {&linux_part, "linux"});
  return sysctls;
}

Json linux_json(const SpecOptions& options, std::string_view cgroups_path) {
  Json json = {{"cgroupsPath", cgroups_path},
               {"namespaces", namespaces_json(options.network)},
               {"resources", resources_json(options.resources)}};
  add_device_rules(json["resources"]["devices"], options);
  Json devices = devices_json(options);
  if (!devices.empty()) json["devices"] = std::move(devices);
  if (!options.privileged) {
    json["maskedPaths"] = masked_paths();
    json["readonlyPaths"] = readonly_paths();
  }
  if (!options.sysctls.empty()) json["sysctl"] = sysctls_json(options, json);
  Json seccomp = seccomp_json(options);
  if (!seccomp.is_null()) json["seccomp"] = std::move(seccomp);
  return json;
}

}  // namespace

void check_cwd(std::string_view field, const std::string& cwd) {
  if (cwd.empty() || cwd.front() != '/') throw invalid(field, cwd, "must be an absolute path");
  if (has_nul(cwd)) throw invalid(field, cwd, "must not have NUL in it");
  // A descriptor of the host's that a runtime leaks would be a way out (CVE-2024-21626).
  std::string normal = normal_path(cwd);
  if (normal == "/proc" || normal.starts_with("/proc/"))
    throw invalid(field, cwd, "must not be below /proc");
}

std::string default_hostname(std::string_view id) {
  return std::string(id.substr(0, kDefaultHostname));
}

void check_hostname(std::string_view field, const std::string& hostname) {
  if (hostname.size() > kMaxHostname) throw invalid(field, hostname, "must have at most 64 bytes");
  auto bad = [](unsigned char c) { return c <= ' ' || c == 0x7f; };
  if (std::any_of(hostname.begin(), hostname.end(), bad)) {
    throw invalid(field, hostname, "must not have spaces or control characters in it");
  }
}

Json default_spec(const SpecOptions& options, std::string_view id, std::string_view cgroups_path,
                  int rootfs_dir) {
  Json annotations = annotations_json(options);
  annotations[kSeccompKey] = seccomp_name(options);
  if (options.init) annotations[kInitKey] = "shim";
  return {{"ociVersion", "1.0.2"},
          {"process", process_json(options, rootfs_dir)},
          {"root", {{"path", "rootfs"}, {"readonly", options.read_only}}},
          {"hostname", hostname_of(options, id)},
          {"mounts", mounts_json(options)},
          {"annotations", std::move(annotations)},
          {"linux", linux_json(options, cgroups_path)}};
}

}  // namespace ctrd::oci
