// SPDX-License-Identifier: Apache-2.0
#include "engine/other_answer.h"

#include <sys/stat.h>

#include <algorithm>
#include <climits>

#include "api/bootstrap.h"
#include "base/text.h"
#include "engine/other_shim.h"
#include "oci/json_read.h"

namespace ctrd::engine {
namespace {

constexpr std::string_view kUnix = "unix://";
constexpr int64_t kFirst = 2, kLast = 3;  // versions that we know

bool is_scheme(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= 'a' && c <= 'z'; });
}

bool is_address(std::string_view text) {
  std::size_t end = text.find("://");
  bool has_form = text.starts_with('/') || (end != text.npos && is_scheme(text.substr(0, end)));
  return has_form && text.size() < PATH_MAX &&
         std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f; });
}

std::optional<ShimAnswer> from_json(std::string_view text) {
  ShimAnswer answer;
  oci::Json json = oci::parse_json(text, "answer");
  oci::Member all{&json, "answer"};
  answer.version = oci::find_int(all, "version").value_or(0);
  answer.address = oci::find_string(all, "address").value_or("");
  answer.protocol = oci::find_string(all, "protocol").value_or("ttrpc");
  return answer;
}

std::optional<ShimAnswer> from_result(std::string_view bytes) {
  auto result = api::decode<api::BootstrapResult>(bytes);
  return ShimAnswer{result.version, std::move(result.address), std::move(result.protocol)};
}

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? char(c | 0x20) : c; });
  return text;
}

}  // namespace

std::optional<ShimAnswer> parse_shim_answer(std::string_view printed) {
  std::string_view text = trimmed(printed);
  if (is_address(text)) return ShimAnswer{.address = std::string(text)};
  std::optional<ShimAnswer> answer;
  try {
    answer = text.starts_with('{') ? from_json(text) : from_result(printed);
  } catch (const Error&) {
    return std::nullopt;
  }
  answer->protocol = lower(std::move(answer->protocol));
  bool good = answer->version >= kFirst && is_address(answer->address);
  return good ? answer : std::nullopt;
}

std::string socket_of(const std::string& program, const ShimAnswer& answer) {
  const char* hint = "use one of containerd 1.6 or 1.7";
  if (answer.protocol != "ttrpc") throw lacks(program, "ttrpc but " + answer.protocol, hint);
  if (answer.version > kLast)
    throw lacks(program, "version 2 but " + std::to_string(answer.version), hint);
  std::string path = answer.address;
  if (path.starts_with(kUnix)) return path.substr(kUnix.size());
  struct stat facts {};
  bool is_file = path.starts_with('/') && ::lstat(path.c_str(), &facts) == 0;
  if (!is_file) throw lacks(program, "socket in the file system, but " + path, hint);
  return path;
}

}  // namespace ctrd::engine
