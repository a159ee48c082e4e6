// SPDX-License-Identifier: Apache-2.0
// check_spec of spec.h: what a whole spec, patched by strangers or not, must be before it is
// stored. Source: reliability.md D8, rows 22 to 65. The process is checked in check_process.cpp.
#include "oci/check_spec.h"

#include <sys/vfs.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <iterator>
#include <set>

#include "base/error.h"
#include "oci/default_spec.h"
#include "oci/mounts.h"
#include "oci/namespaces.h"
#include "oci/seccomp.h"
#include "oci/spec.h"

namespace ctrd::oci {
namespace {

constexpr long kNsfsMagic = 0x6e736673;  // linux/magic.h
constexpr int64_t kLeastQuota = 1000;

void check_object(const Member& member) {
  if (!member.value->is_object())
    throw invalid(member.path, member.value->type_name(), "must be an object");
}

void check_version(const Member& spec) {
  std::string version = need_string(spec, "ociVersion");
  if (!version.starts_with("1."))
    throw invalid("spec.ociVersion", version, "only versions 1.* are known");
}

// The shim mounts the root file system on <bundle>/rootfs, and nowhere else.
void check_root(const Member& spec) {
  std::string path = need_string(find_object(spec, "root"), "path");
  if (path != "rootfs")
    throw invalid("spec.root.path", path, "must be \"rootfs\", which is where ctrd mounts it");
}

bool is_bind(const Member& mount) {
  if (find_string(mount, "type").value_or("") == "bind") return true;
  auto options = find_array(mount, "options");
  return std::any_of(options.begin(), options.end(), [](const Member& option) {
    std::string word = string_of(option);
    return word == "bind" || word == "rbind";
  });
}

// A comma would end the option's data and begin another's.
void check_mount_options(const Member& mount) {
  for (const Member& option : find_array(mount, "options")) {
    std::string word = string_of(option);
    if (word.find(',') != std::string::npos)
      throw invalid(option.path, word, "must not have a comma in it");
  }
}

// Returns the normal destination.
std::string check_mount(const Member& mount) {
  check_object(mount);
  std::string destination = need_string(mount, "destination");
  std::string normal = normal_path(destination);
  check_mount_options(mount);
  if (normal == "/proc" && find_string(mount, "type").value_or("") == "proc") return normal;
  check_destination(mount.path + ".destination", destination);
  if (is_bind(mount)) check_bind_source(mount.path + ".source", need_string(mount, "source"));
  return normal;
}

void check_mounts(const Member& spec) {
  std::set<std::string> destinations;
  for (const Member& mount : find_array(spec, "mounts")) destinations.insert(check_mount(mount));
  if (destinations.contains("/dev")) return;
  if (find_string(find_object(spec, "annotations"), kDevKey).value_or("") == "rootfs") return;
  throw failed_precondition(
      "spec.mounts: nothing is mounted on /dev, so the root file system could redirect device "
      "nodes; "
      "the annotation ctrd.dev=rootfs allows it")
      .with("field", "spec.mounts");
}

void check_namespace_path(const Member& entry, const std::string& path) {
  if (path.empty()) return;
  if (path.front() != '/') throw invalid(entry.path + ".path", path, "must be absolute");
  struct statfs found {};
  if (::statfs(path.c_str(), &found) != 0)
    throw sys_error(errno, entry.path + ".path \"" + path + "\"");
  if (found.f_type != kNsfsMagic) throw invalid(entry.path + ".path", path, "is no namespace");
}

void check_namespaces(const Member& linux_part) {
  std::set<std::string> seen;
  for (const Member& entry : find_array(linux_part, "namespaces")) {
    check_object(entry);
    std::string type = need_string(entry, "type");
    if (!is_namespace(type)) throw invalid(entry.path + ".type", type, "is no namespace");
    if (!seen.insert(type).second) throw invalid(entry.path + ".type", type, "is there twice");
    check_namespace_path(entry, find_string(entry, "path").value_or(""));
  }
}

void check_devices(const Member& linux_part) {
  for (const Member& device : find_array(linux_part, "devices")) {
    check_object(device);
    std::string type = need_string(device, "type"), path = need_string(device, "path");
    bool known = type == "c" || type == "b" || type == "u" || type == "p";
    if (!known) throw invalid(device.path + ".type", type, "must be c, b, u or p");
    check_destination(device.path + ".path", path);
  }
}

void check_limit(const Member& in, std::string_view name) {
  auto value = find_int(in, name);
  if (!value || *value > 0 || *value == -1) return;
  throw invalid(in.path + "." + std::string(name), std::to_string(*value),
                "must be positive, or -1 for no limit");
}

void check_block_io(const Member& resources) {
  Member io = find_object(resources, "blockIO");
  for (const char* list : {"weightDevice", "throttleReadBpsDevice", "throttleWriteBpsDevice",
                           "throttleReadIOPSDevice", "throttleWriteIOPSDevice"}) {
    for (const Member& entry : find_array(io, list)) {
      check_object(entry);
      for (const char* name : {"major", "minor", "rate", "weight"}) find_int(entry, name);
    }
  }
}

void check_resources(const Member& linux_part) {
  Member resources = find_object(linux_part, "resources");
  Member memory = find_object(resources, "memory"), cpu = find_object(resources, "cpu");
  for (const char* name : {"limit", "swap", "reservation"}) check_limit(memory, name);
  check_limit(find_object(resources, "pids"), "limit");
  auto quota = find_int(cpu, "quota");
  if (quota && *quota != -1 && *quota < kLeastQuota) {
    throw invalid("spec.linux.resources.cpu.quota", std::to_string(*quota),
                  "must be at least 1000 us");
  }
  for (const Member& rule : find_array(resources, "devices")) check_object(rule);
  check_block_io(resources);
}

bool has_namespace(const Member& linux_part, std::string_view type) {
  auto list = find_array(linux_part, "namespaces");
  return std::any_of(list.begin(), list.end(),
                     [&](const Member& entry) { return need_string(entry, "type") == type; });
}

// Only what a namespace of the container's own holds; kernel.core_pattern and the like are the
// host's (CVE-2022-0811).
bool is_namespaced(const std::string& key, const Member& linux_part) {
  constexpr std::string_view kIpc[] = {"kernel.msgmax", "kernel.msgmnb",         "kernel.msgmni",
                                       "kernel.sem",    "kernel.shmall",         "kernel.shmmax",
                                       "kernel.shmmni", "kernel.shm_rmid_forced"};
  bool ipc = key.starts_with("fs.mqueue.") ||
             std::find(std::begin(kIpc), std::end(kIpc), key) != std::end(kIpc);
  if (ipc) return has_namespace(linux_part, "ipc");
  if (key.starts_with("net.")) return has_namespace(linux_part, "network");
  if (key == "kernel.domainname") return has_namespace(linux_part, "uts");
  return false;
}

void check_hooks(const Member& spec) {
  Member hooks = find_object(spec, "hooks");
  for (const char* name : {"prestart", "createRuntime", "createContainer", "startContainer",
                           "poststart", "poststop"}) {
    for (const Member& hook : find_array(hooks, name)) {
      check_object(hook);
      std::string path = need_string(hook, "path");
      if (!path.starts_with('/')) throw invalid(hook.path + ".path", path, "must be absolute");
    }
  }
}

void check_cgroups_path(const Member& linux_part) {
  std::string path = need_string(linux_part, "cgroupsPath");
  bool ours = path.starts_with("/ctrd-") && path.find('/', 1) == std::string::npos;
  if (!ours)
    throw invalid("spec.linux.cgroupsPath", path,
                  "must be /ctrd-<name>, which is what ctrd removes");
}

void check_paths(const Member& linux_part, std::string_view name) {
  for (const Member& entry : find_array(linux_part, name)) {
    std::string path = string_of(entry);
    if (!path.starts_with('/')) throw invalid(entry.path, path, "must be absolute");
  }
}

void check_linux(const Member& spec) {
  Member linux_part = find_object(spec, "linux");
  if (!linux_part) throw invalid("spec.linux", "", "is missing");
  check_cgroups_path(linux_part);
  check_namespaces(linux_part);
  check_devices(linux_part);
  check_resources(linux_part);
  if (Member sysctls = find_object(linux_part, "sysctl")) check_sysctls(sysctls, linux_part);
  check_paths(linux_part, "maskedPaths");
  check_paths(linux_part, "readonlyPaths");
  Member seccomp = find_object(linux_part, "seccomp");
  if (seccomp) check_seccomp(seccomp);
}

void check_annotations(const Member& spec) {
  Member annotations = find_object(spec, "annotations");
  if (!annotations) return;
  for (const auto& [key, value] : annotations.value->items()) {
    string_of({&value, annotations.path + "." + key});
  }
  std::string profile = find_string(annotations, kSeccompKey).value_or("default");
  bool known = profile == "default" || profile == "unconfined" || profile == "custom";
  if (!known)
    throw invalid("spec.annotations.ctrd.seccomp", profile,
                  "must be default, unconfined or custom");
  bool given = bool(find_object(find_object(spec, "linux"), "seccomp"));
  if (profile == "custom" && !given)
    throw invalid("spec.linux.seccomp", "", "is missing, for ctrd.seccomp is custom");
}

}  // namespace

void check_sysctls(const Member& sysctls, const Member& linux_part) {
  for (const auto& [key, value] : sysctls.value->items()) {
    auto plain = [](unsigned char c) {
      return std::isalnum(c) || c == '.' || c == '_' || c == '-' || c == '/';
    };
    bool known = std::all_of(key.begin(), key.end(), plain) && is_namespaced(key, linux_part);
    if (!known) throw invalid(sysctls.path, key, "is no setting of the container's own namespaces");
    std::string text = string_of({&value, sysctls.path + "." + key});
    if (text.find_first_of("+=\n") != std::string::npos)
      throw invalid(sysctls.path + "." + key, text, "must not have + or = in it");
  }
}

void check_spec_json(const Json& json) {
  Member spec{&json, "spec"};
  check_object(spec);
  check_version(spec);
  check_process(spec);
  check_root(spec);
  check_hostname("spec.hostname", find_string(spec, "hostname").value_or(""));
  check_mounts(spec);
  check_linux(spec);
  check_hooks(spec);
  check_annotations(spec);
}

void check_spec(std::string_view spec_json) { check_spec_json(parse_json(spec_json, "spec")); }

}  // namespace ctrd::oci
