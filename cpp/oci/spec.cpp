// SPDX-License-Identifier: Apache-2.0
#include "oci/spec.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/files.h"
#include "oci/check_spec.h"
#include "oci/default_spec.h"
#include "oci/namespaces.h"
#include "oci/rlimits.h"
#include "oci/seccomp.h"

namespace ctrd::oci {
namespace {

void apply_patch(Json& spec, const std::string& patch) {
  if (patch.empty()) return;
  Json json = parse_json(patch, "spec");
  if (!json.is_object()) throw invalid("spec", json.type_name(), "a merge patch must be an object");
  spec.merge_patch(json);
}

void apply_edit(Json& spec, const std::function<std::string(std::string)>& edit) {
  if (!edit) return;
  std::string edited = edit(dump_json(spec, "spec"));
  spec = parse_json(edited, "spec");
}

// A profile that came by patch or edit is the caller's own.
void name_seccomp(Json& spec) {
  if (!spec.is_object() || !spec.contains("linux") || !spec["linux"].is_object()) return;
  if (!spec["linux"].contains("seccomp") || spec["linux"]["seccomp"].is_null()) return;
  Json& annotations = spec["annotations"];
  if (annotations.is_null() || annotations.is_object()) annotations[kSeccompKey] = "custom";
}

// Two containers in one cgroup would end together.
void check_own_cgroup(const Json& spec, std::string_view cgroups_path) {
  auto path = spec.at("linux").at("cgroupsPath").get<std::string>();
  if (path == cgroups_path) return;
  throw invalid("spec.linux.cgroupsPath", path, "must stay " + std::string(cgroups_path));
}

std::string text_of(const Json& spec) {
  std::string text = dump_json(spec, "spec");
  if (text.size() <= kMaxSpec) return text;
  throw Error(Code::kResourceExhausted, "spec: " + std::to_string(text.size()) +
                                            " bytes of JSON, at most " + std::to_string(kMaxSpec) +
                                            " are allowed")
      .with("field", "spec");
}

Json stored(std::string_view text) {
  Json spec = parse_json(text, "spec");
  if (!spec.is_object()) throw invalid("spec", spec.type_name(), "must be an object");
  return spec;
}

std::vector<std::string> bounding(const Json& spec) {
  return spec.value(Json::json_pointer("/process/capabilities/bounding"),
                    std::vector<std::string>());
}

// Secure by default: a spec that lost its annotation gets the default profile.
void write_seccomp(Json& spec) {
  Json& linux_part = spec["linux"];
  if (linux_part.contains("seccomp") && !linux_part["seccomp"].is_null()) return;
  std::string name =
      spec.value(Json::json_pointer(std::string("/annotations/") + kSeccompKey), "default");
  if (name != "unconfined") linux_part["seccomp"] = default_seccomp(bounding(spec));
}

// One directory a CPU, so only this machine knows them; with the rest of what tells of the host's
// load.
void mask_throttle_counters(Json& spec) {
  auto masked = spec["linux"].find("maskedPaths");
  if (masked == spec["linux"].end() || !masked->is_array()) return;
  if (std::find(masked->begin(), masked->end(), "/proc/interrupts") == masked->end()) return;
  const std::filesystem::path cpus = "/sys/devices/system/cpu";
  if (::access(cpus.c_str(), F_OK) != 0) return;
  UniqueFd dir = open_dir(cpus.string());
  for (const std::string& cpu : list_dir(dir.get())) {
    auto counter = std::filesystem::path(cpu) / "thermal_throttle";
    if (exists_at(dir.get(), counter.string())) masked->push_back((cpus / counter).string());
  }
}

// The spec keeps the caller's args. /dev is a fresh tmpfs, so the root file system is not touched.
void write_init(Json& spec, const std::string& program) {
  auto asked = spec.value(Json::json_pointer(std::string("/annotations/") + kInitKey), "");
  if (asked.empty()) return;
  if (program.empty()) throw failed_precondition("init: there is no program for process 1");
  Json args = {kInitPath, "init", "--"};
  for (Json& arg : spec["process"]["args"]) args.push_back(std::move(arg));
  spec["process"]["args"] = std::move(args);
  spec["mounts"].push_back({{"destination", kInitPath},
                            {"type", "bind"},
                            {"source", program},
                            {"options", {"bind", "ro", "nosuid", "nodev", "rprivate"}}});
}

}  // namespace

std::string cgroups_path(std::string_view root_hash6, std::string_view ns, std::string_view id) {
  return "/ctrd-" + std::string(root_hash6) + "-" + std::string(ns) + "-" + std::string(id);
}

std::string make_spec(const SpecOptions& options, std::string_view id,
                      std::string_view cgroups_path, int rootfs_dir) {
  Json spec = default_spec(options, id, cgroups_path, rootfs_dir);
  apply_patch(spec, options.spec_patch);
  apply_edit(spec, options.edit_spec);
  name_seccomp(spec);
  check_spec_json(spec);
  check_own_cgroup(spec, cgroups_path);
  return text_of(spec);
}

static std::string checked(Json spec, std::string_view stored_spec) {
  name_seccomp(spec);
  check_spec_json(spec);
  check_own_cgroup(spec, spec_facts(stored_spec).cgroups_path);
  return text_of(spec);
}

std::string patch_spec(std::string_view stored_spec, const std::string& json) {
  Json spec = stored(stored_spec);
  apply_patch(spec, json);
  return checked(std::move(spec), stored_spec);
}

std::string replace_spec(std::string_view stored_spec, const std::string& json) {
  return checked(parse_json(json, "spec"), stored_spec);
}

std::string make_config(std::string_view stored_spec, bool host_is_cgroup_v2,
                        const std::string& init_program) {
  Json spec = stored(stored_spec);
  spec["root"]["path"] = "rootfs";
  write_seccomp(spec);
  mask_throttle_counters(spec);
  write_init(spec, init_program);
  if (host_is_cgroup_v2) add_cgroup_namespace(spec["linux"]);
  if (spec["process"].contains("rlimits")) clamp_rlimits(spec["process"]["rlimits"]);
  return dump_json(spec, "spec");
}

SpecFacts spec_facts(std::string_view stored_spec) {
  Json spec = stored(stored_spec);
  using Pointer = Json::json_pointer;
  SpecFacts facts;
  facts.args = spec.value(Pointer("/process/args"), facts.args);
  facts.cgroups_path = spec.value(Pointer("/linux/cgroupsPath"), "");
  facts.hostname = spec.value(Pointer("/hostname"), "");
  facts.terminal = spec.value(Pointer("/process/terminal"), false);
  return facts;
}

std::string annotate(std::string_view stored_spec,
                     const std::map<std::string, std::optional<std::string>>& annotations) {
  Json spec = stored(stored_spec);
  Json& all = spec["annotations"];
  for (const auto& [key, value] : annotations) {
    if (key.empty() || key.starts_with(kReserved)) {
      throw invalid("annotations", key, "must not be empty nor begin with \"ctrd.\"");
    }
    if (value) {
      all[key] = *value;
    } else {
      all.erase(key);
    }
  }
  return text_of(spec);
}

std::map<std::string, std::string> annotations_of(std::string_view stored_spec) {
  Json spec = stored(stored_spec);
  std::map<std::string, std::string> annotations;
  auto found = spec.find("annotations");
  if (found == spec.end() || !found->is_object()) return annotations;
  for (const auto& [key, value] : found->items()) {
    if (!key.starts_with(kReserved) && value.is_string())
      annotations[key] = value.get<std::string>();
  }
  return annotations;
}

}  // namespace ctrd::oci
