// SPDX-License-Identifier: Apache-2.0
#include "oci/seccomp.h"

#include <sched.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <set>

#include "base/error.h"

namespace ctrd::oci {
namespace {

#if defined(__x86_64__)
constexpr const char* kNative = "SCMP_ARCH_X86_64";
#elif defined(__aarch64__)
constexpr const char* kNative = "SCMP_ARCH_AARCH64";
#else
#error "add the native architecture's name in libseccomp"
#endif

constexpr uint64_t kLow32 = 0xffffffff;  // the kernel reads an int: filter the same bits, not 64
constexpr uint64_t kNewNamespaces = 0x7e020000;  // CLONE_NEW* that clone(2) knows
constexpr uint64_t kPersonalities[] = {0x0, 0x8, 0x20000, 0x20008, 0xffffffff};

Json condition(uint64_t mask, uint64_t value) {
  return {{"index", 0}, {"value", mask}, {"valueTwo", value}, {"op", "SCMP_CMP_MASKED_EQ"}};
}

Json rule(Json names, bool allow, Json conditions = nullptr) {
  Json json = {{"names", std::move(names)},
               {"action", allow ? "SCMP_ACT_ALLOW" : "SCMP_ACT_ERRNO"}};
  if (!allow) json["errnoRet"] = EPERM;
  if (!conditions.is_null()) json["args"] = std::move(conditions);
  return json;
}

Json rule_for(const char* name, bool allow, uint64_t mask, uint64_t value) {
  return rule(Json::array({name}), allow, Json::array({condition(mask, value)}));
}

// All families but AF_ALG (38) and AF_VSOCK (40), as blocks of powers of two; a `not equal` would
// compare 64 bits and let 2^32 + 38 pass.
void add_socket(Json& rules) {
  struct Block {
    uint64_t mask, value;
  };
  constexpr Block kBlocks[] = {{~31u, 0}, {~3u, 32}, {~1u, 36}, {~0u, 39},
                               {~0u, 41}, {~1u, 42}, {~3u, 44}};
  static_assert(AF_ALG == 38 && AF_VSOCK == 40);
  for (const Block& block : kBlocks) {
    rules.push_back(rule_for("socket", true, block.mask & kLow32, block.value));
  }
  rules.push_back(rule_for("socket", false, kLow32, AF_ALG));
  rules.push_back(rule_for("socket", false, kLow32, AF_VSOCK));
}

void add_personality(Json& rules) {
  for (uint64_t value : kPersonalities)
    rules.push_back(rule_for("personality", true, kLow32, value));
}

// clone3's flags are in memory, where no filter can look: it stays unknown (ENOSYS), and libc uses
// clone.
void add_clone(Json& rules, bool admin) {
  if (admin) {
    rules.push_back(rule({"clone", "clone3"}, true));
    return;
  }
  rules.push_back(rule_for("clone", true, kNewNamespaces, 0));
  for (uint64_t bit = 1; bit <= kNewNamespaces; bit <<= 1) {
    if (bit & kNewNamespaces) rules.push_back(rule_for("clone", false, bit, bit));
  }
}

std::set<std::string> allowed_names(const std::vector<std::string>& capabilities) {
  std::set<std::string> names;
  for (std::string_view name : allowed_syscalls()) names.emplace(name);
  for (const CapSyscall& row : capability_syscalls()) {
    auto has = std::find(capabilities.begin(), capabilities.end(), row.capability);
    if (has != capabilities.end()) names.emplace(row.name);
  }
  return names;
}

std::set<std::string> denied_names(const std::set<std::string>& allowed) {
  std::set<std::string> names;
  for (std::string_view name : denied_syscalls()) names.emplace(name);
  for (const CapSyscall& row : capability_syscalls()) names.emplace(row.name);
  for (const std::string& name : allowed) names.erase(name);
  return names;
}

bool is_action(std::string_view action) {
  constexpr std::string_view kActions[] = {
      "SCMP_ACT_KILL",  "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD",
      "SCMP_ACT_TRAP",  "SCMP_ACT_ERRNO",        "SCMP_ACT_TRACE",
      "SCMP_ACT_ALLOW", "SCMP_ACT_LOG",          "SCMP_ACT_NOTIFY"};
  return std::find(std::begin(kActions), std::end(kActions), action) != std::end(kActions);
}

void check_action(const Member& in, std::string_view name) {
  std::string action = need_string(in, name);
  if (!is_action(action))
    throw invalid(in.path + "." + std::string(name), action, "is no seccomp action");
}

void check_rule(const Member& entry) {
  if (!entry.value->is_object())
    throw invalid(entry.path, entry.value->type_name(), "must be an object");
  check_action(entry, "action");
  auto names = find_array(entry, "names");
  if (names.empty()) throw invalid(entry.path + ".names", "", "must name a system call");
  for (const Member& name : names) string_of(name);
  for (const char* word : {"includes", "excludes"}) {
    auto found = entry.value->find(word);
    if (found == entry.value->end() || found->is_null() || found->empty()) continue;
    throw invalid(entry.path + "." + word, found->dump(),
                  "is docker's template, not the runtime-spec's form");
  }
}

}  // namespace

Json default_seccomp(const std::vector<std::string>& capabilities) {
  auto allowed = allowed_names(capabilities);
  auto denied = denied_names(allowed);
  bool admin =
      std::find(capabilities.begin(), capabilities.end(), "CAP_SYS_ADMIN") != capabilities.end();
  Json rules = Json::array({rule(Json(allowed), true), rule(Json(denied), false)});
  add_socket(rules);
  add_personality(rules);
  add_clone(rules, admin);
  return {{"defaultAction", "SCMP_ACT_ERRNO"},
          {"defaultErrnoRet", ENOSYS},
          {"architectures", Json::array({kNative})},
          {"syscalls", std::move(rules)}};
}

void check_seccomp(const Member& profile) {
  check_action(profile, "defaultAction");
  for (const Member& name : find_array(profile, "architectures")) string_of(name);
  for (const Member& entry : find_array(profile, "syscalls")) check_rule(entry);
}

}  // namespace ctrd::oci
