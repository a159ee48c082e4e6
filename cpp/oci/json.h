// SPDX-License-Identifier: Apache-2.0
// Foreign JSON, read safely: size, depth (64), duplicate keys, trailing data and invalid UTF-8 are
// refused with the field's name.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace ctrd::oci {

using Json = nlohmann::json;
inline constexpr std::size_t kMaxSpec = 4u << 20;

// Throws invalid(field, ...); kResourceExhausted beyond max bytes.
Json parse_json(std::string_view text, std::string_view field, std::size_t max = kMaxSpec);
// Compact text. Throws invalid(field, ...) if a string in it is not UTF-8.
std::string dump_json(const Json& json, std::string_view field);
bool is_utf8(const std::string& text);

}  // namespace ctrd::oci
