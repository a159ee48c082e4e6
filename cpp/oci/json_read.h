// SPDX-License-Identifier: Apache-2.0
// Reading members of JSON that strangers wrote: a missing or null member is nullptr, one of the
// wrong type is InvalidArgument that names its path ("spec.process.cwd").
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "oci/json.h"

namespace ctrd::oci {

// A JSON value and where it stands; value is nullptr if it is not there.
struct Member {
  const Json* value = nullptr;
  std::string path;

  explicit operator bool() const { return value != nullptr; }
  const Json& operator*() const { return *value; }
};

// Each throws invalid(path, ...) when the member has another type; `in` must be an object or
// absent.
Member find_object(const Member& in, std::string_view name);
std::vector<Member> find_array(const Member& in, std::string_view name);          // empty if absent
std::optional<std::string> find_string(const Member& in, std::string_view name);  // no NUL in it
std::optional<int64_t> find_int(const Member& in, std::string_view name);  // beyond int64: invalid
std::string string_of(const Member& member);
// Throws invalid unless `in` has it.
std::string need_string(const Member& in, std::string_view name);

}  // namespace ctrd::oci
