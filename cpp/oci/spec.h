// SPDX-License-Identifier: Apache-2.0
// From options to an OCI runtime spec. The spec that is stored names its seccomp profile; the
// config.json that a runtime reads has it written out. Source: runtime-spec 1.1; design.md 8;
// reliability.md C7.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "oci/options.h"

namespace ctrd::oci {

// cgroupsPath "/ctrd-<6 hex of hash of root>-<ns>-<id>".
std::string cgroups_path(std::string_view root_hash6, std::string_view ns, std::string_view id);

// The spec as stored (compact JSON text). rootfs_dir: descriptor of the directory that will be the
// root's bottom, where user names are looked up (etc/passwd, etc/group; -1: only numeric ids).
// Default profile seccomp is stored as its name in the annotation "ctrd.seccomp" = "default" and no
// linux.seccomp. Throws invalid(...) naming the option, kNotFound for an unknown user or group,
// kResourceExhausted for what is too big.
std::string make_spec(const SpecOptions& options, std::string_view id,
                      std::string_view cgroups_path, int rootfs_dir);

// A stored spec after a merge patch, or `json` in its place; checked as make_spec does. The cgroup
// is the same.
std::string patch_spec(std::string_view stored_spec, const std::string& json);
std::string replace_spec(std::string_view stored_spec, const std::string& json);

// Checks a whole spec for what D8 rows 23 to 65 name (args, cwd, root.path, namespaces, user,
// rlimits, mounts, env, hostname, cgroupsPath ...). make_spec calls it after patch and edit.
void check_spec(std::string_view spec_json);

// config.json for a runtime: root.path "rootfs", seccomp written out for the native architecture.
// init_program: what is bind-mounted as process 1 where the spec asks for one (a static program
// that takes `init -- args`).
std::string make_config(std::string_view stored_spec, bool host_is_cgroup_v2,
                        const std::string& init_program = "");
inline constexpr const char* kInitPath = "/dev/ctrd-init";  // in the container

// What the engine needs to know of a stored spec, without having a JSON type.
struct SpecFacts {
  std::vector<std::string> args;
  std::string cgroups_path, hostname;
  bool terminal = false;
};
SpecFacts spec_facts(std::string_view stored_spec);
// The spec as users see it (Container.spec()): pretty or compact JSON text with the profile's name
// kept. Annotations updated in place: nullopt removes.
std::string annotate(std::string_view stored_spec,
                     const std::map<std::string, std::optional<std::string>>& annotations);
std::map<std::string, std::string> annotations_of(std::string_view stored_spec);

}  // namespace ctrd::oci
