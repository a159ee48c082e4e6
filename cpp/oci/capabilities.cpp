// SPDX-License-Identifier: Apache-2.0
#include "oci/capabilities.h"

#include <sys/prctl.h>

#include <algorithm>
#include <cctype>
#include <iterator>
#include <set>

#include "base/error.h"

namespace ctrd::oci {
namespace {

// By number.
constexpr std::string_view kAll[] = {
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
};

constexpr std::string_view kDefault[] = {
    "CAP_CHOWN",   "CAP_DAC_OVERRIDE", "CAP_FSETID",           "CAP_FOWNER",
    "CAP_MKNOD",   "CAP_NET_RAW",      "CAP_SETGID",           "CAP_SETUID",
    "CAP_SETFCAP", "CAP_SETPCAP",      "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT",
    "CAP_KILL",    "CAP_AUDIT_WRITE",
};

// "ALL" or a name with CAP_.
std::string normal_name(std::string_view field, const std::string& given) {
  std::string name;
  std::transform(given.begin(), given.end(), std::back_inserter(name),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  if (name == "ALL") return name;
  if (!name.starts_with("CAP_")) name.insert(0, "CAP_");
  if (!is_capability(name)) throw invalid(field, given, "is no capability");
  return name;
}

std::set<std::string> normal_names(std::string_view field, const std::vector<std::string>& given) {
  std::set<std::string> names;
  for (const std::string& name : given) names.insert(normal_name(field, name));
  return names;
}

// What we have not, nobody can be given: "ALL" does not mean it.
bool is_held(std::string_view name) {
  auto number = std::find(std::begin(kAll), std::end(kAll), name) - std::begin(kAll);
  return ::prctl(PR_CAPBSET_READ, number, 0, 0, 0) == 1;
}

}  // namespace

bool is_capability(std::string_view name) {
  return std::find(std::begin(kAll), std::end(kAll), name) != std::end(kAll);
}

std::vector<std::string> capabilities(const std::vector<std::string>& add,
                                      const std::vector<std::string>& drop, bool privileged) {
  auto added = normal_names("cap_add", add), dropped = normal_names("cap_drop", drop);
  auto granted = [&](std::string_view name) {
    std::string key(name);
    if (added.contains(key)) return true;
    if (dropped.contains(key)) return false;
    if (added.contains("ALL")) return is_held(name);
    bool usual = std::find(std::begin(kDefault), std::end(kDefault), name) != std::end(kDefault);
    return (privileged ? is_held(name) : usual) && !dropped.contains("ALL");
  };
  std::vector<std::string> names;
  for (std::string_view name : kAll) {
    if (granted(name)) names.emplace_back(name);
  }
  return names;
}

}  // namespace ctrd::oci
