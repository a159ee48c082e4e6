// SPDX-License-Identifier: Apache-2.0
#include "oci/json_read.h"

#include <limits>

#include "base/error.h"

namespace ctrd::oci {
namespace {

std::string shown(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace).substr(0, 256);
}

Member find(const Member& in, std::string_view name) {
  std::string path = in.path + "." + std::string(name);
  if (!in) return {nullptr, path};
  auto found = in.value->find(name);
  if (found == in.value->end() || found->is_null()) return {nullptr, path};
  return {&*found, path};
}

[[noreturn]] void wrong_type(const Member& member, std::string_view wanted) {
  throw invalid(member.path, shown(*member), "must be " + std::string(wanted));
}

}  // namespace

Member find_object(const Member& in, std::string_view name) {
  Member member = find(in, name);
  if (member && !member.value->is_object()) wrong_type(member, "an object");
  return member;
}

std::vector<Member> find_array(const Member& in, std::string_view name) {
  Member member = find(in, name);
  if (!member) return {};
  if (!member.value->is_array()) wrong_type(member, "an array");
  std::vector<Member> items;
  for (const Json& item : *member) {
    items.push_back({&item, member.path + "[" + std::to_string(items.size()) + "]"});
  }
  return items;
}

std::string string_of(const Member& member) {
  if (!member || !member.value->is_string()) wrong_type(member, "a string");
  auto text = member.value->get<std::string>();
  if (text.find('\0') != std::string::npos)
    throw invalid(member.path, text, "must not have NUL in it");
  return text;
}

std::optional<std::string> find_string(const Member& in, std::string_view name) {
  Member member = find(in, name);
  if (!member) return std::nullopt;
  return string_of(member);
}

std::string need_string(const Member& in, std::string_view name) {
  auto text = find_string(in, name);
  if (!text) throw invalid(in.path + "." + std::string(name), "", "is missing");
  return *text;
}

std::optional<int64_t> find_int(const Member& in, std::string_view name) {
  Member member = find(in, name);
  if (!member) return std::nullopt;
  if (!member.value->is_number_integer()) wrong_type(member, "a whole number");
  if (member.value->is_number_unsigned() &&
      member.value->get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
    wrong_type(member, "less than 2^63");
  }
  return member.value->get<int64_t>();
}

}  // namespace ctrd::oci
