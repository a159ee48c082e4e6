// SPDX-License-Identifier: Apache-2.0
#include <cerrno>

#include "base/error.h"
#include "oci/capabilities.h"
#include "oci/check_spec.h"
#include "oci/default_spec.h"
#include "oci/rlimits.h"

namespace ctrd::oci {
namespace {

constexpr int64_t kMaxId = 0x7fffffff;
// execve(2): the kernel's limits on one string and, with the usual 8 MiB of stack, on all of them
// with their pointers.
constexpr std::size_t kMaxString = 131071;
constexpr std::size_t kMaxStrings = (2u << 20) - 8192;

std::size_t string_cost(const Member& member, const std::string& text, const char* field) {
  if (text.size() > kMaxString) {
    throw Error(Code::kResourceExhausted,
                member.path + ": " + std::to_string(text.size()) +
                    " bytes, the kernel takes at most " + std::to_string(kMaxString),
                Kind::kNone, E2BIG)
        .with("field", field);
  }
  return text.size() + 1 + sizeof(void*);
}

std::size_t check_args(const Member& process) {
  auto args = find_array(process, "args");
  if (args.empty()) throw invalid("spec.process.args", "", "name a program");
  std::size_t cost = 0;
  for (const Member& arg : args) cost += string_cost(arg, string_of(arg), "args");
  if (string_of(args.front()).empty()) {
    throw invalid(args.front().path, "", "the program's name is empty");
  }
  return cost;
}

std::size_t check_env(const Member& process) {
  std::size_t cost = 0;
  for (const Member& entry : find_array(process, "env")) {
    std::string text = string_of(entry);
    auto at = text.find('=');
    if (at == std::string::npos || at == 0) throw invalid(entry.path, text, "must be NAME=value");
    cost += string_cost(entry, text, "env");
  }
  return cost;
}

void check_strings(const Member& process) {
  std::size_t cost = check_args(process) + check_env(process);
  if (cost <= kMaxStrings) return;
  throw Error(Code::kResourceExhausted,
              "spec.process: args and env take " + std::to_string(cost) +
                  " bytes, the kernel takes at most " + std::to_string(kMaxStrings),
              Kind::kNone, E2BIG)
      .with("field", "env");
}

void check_id(std::string_view path, int64_t id) {
  if (id < 0 || id > kMaxId) throw invalid(path, std::to_string(id), "must be 0 to 2147483647");
}

void check_user(const Member& process) {
  Member user = find_object(process, "user");
  for (const char* name : {"uid", "gid"})
    check_id(user.path + "." + name, find_int(user, name).value_or(0));
  for (const Member& gid : find_array(user, "additionalGids")) {
    if (!gid.value->is_number_integer())
      throw invalid(gid.path, gid.value->type_name(), "must be a whole number");
    check_id(gid.path, gid.value->get<int64_t>());
  }
}

uint64_t limit_of(const Member& entry, const char* name) {
  auto found = entry.value->find(name);
  bool good = found != entry.value->end() && found->is_number_integer() &&
              (found->is_number_unsigned() || found->get<int64_t>() >= 0);
  if (!good)
    throw invalid(entry.path + "." + name, "", "must be a whole number that is not negative");
  return found->get<uint64_t>();
}

void check_rlimits(const Member& process) {
  for (const Member& entry : find_array(process, "rlimits")) {
    if (!entry.value->is_object())
      throw invalid(entry.path, entry.value->type_name(), "must be an object");
    std::string type = need_string(entry, "type");
    if (!is_rlimit(type)) throw invalid(entry.path + ".type", type, "is no resource limit");
    if (limit_of(entry, "soft") > limit_of(entry, "hard")) {
      throw invalid(entry.path + ".soft", type, "the soft limit is above the hard one");
    }
  }
}

void check_capabilities(const Member& process) {
  Member sets = find_object(process, "capabilities");
  for (const char* set : {"bounding", "effective", "permitted", "inheritable", "ambient"}) {
    for (const Member& entry : find_array(sets, set)) {
      std::string name = string_of(entry);
      if (!is_capability(name)) throw invalid(entry.path, name, "is no capability");
    }
  }
}

void check_oom(const Member& process) {
  auto score = find_int(process, "oomScoreAdj");
  if (!score || (*score >= -1000 && *score <= 1000)) return;
  throw invalid("spec.process.oomScoreAdj", std::to_string(*score), "must be -1000 to 1000");
}

}  // namespace

void check_process(const Member& spec) {
  Member process = find_object(spec, "process");
  if (!process) throw invalid("spec.process", "", "is missing");
  check_strings(process);
  check_cwd("spec.process.cwd", need_string(process, "cwd"));
  check_user(process);
  check_rlimits(process);
  check_capabilities(process);
  check_oom(process);
}

}  // namespace ctrd::oci
