// SPDX-License-Identifier: Apache-2.0
#include "engine/runtime_options.h"

#include "api/any_type.h"
#include "base/error.h"
#include "engine/other_shim.h"

namespace ctrd::engine {
namespace {

constexpr std::string_view kField = "runtime_options";
constexpr std::size_t kMost = 16 << 10;  // an event of the journal has room for them

void check_ours_alone(const RuncOptions& options) {
  auto refuse = [](std::string_view name) {
    throw invalid(kField, name, "is the engine's to say, not a container's");
  };
  if (!options.root.empty()) refuse("root");
  if (options.systemd_cgroup) refuse("systemd_cgroup");
  if (!options.shim_cgroup.empty()) refuse("shim_cgroup");
  if (!options.criu_path.empty()) refuse("criu_path");
  if (!options.criu_image_path.empty()) refuse("criu_image_path");
  if (!options.criu_work_path.empty()) refuse("criu_work_path");
}

}  // namespace

api::Any pack(const RuncOptions& options) {
  return {std::string(api::kRuncOptionsType), api::encode(options)};
}

std::optional<RuncOptions> runc_options(const api::Any& options) {
  if (api::bare_type(options.type_url) != api::kRuncOptionsType) return std::nullopt;
  try {
    return api::decode<RuncOptions>(options.value);
  } catch (const Error& error) {
    throw invalid(kField, options.type_url, error.message());
  }
}

void check_runtime_options(const std::string& runtime_name, const api::Any& options) {
  if (options == api::Any()) return;
  if (options.type_url.empty()) throw invalid(kField, "", "type_url must not be empty");
  if (options.value.size() > kMost)
    throw Error(Code::kResourceExhausted, "runtime_options: must be at most 16 KiB: have " +
                                              std::to_string(options.value.size()) + " bytes")
        .with("field", std::string(kField));
  auto known = runc_options(options);
  if (known) return check_ours_alone(*known);
  if (!is_other_shim(runtime_name) || is_runcs_shim(runtime_name))
    throw invalid(kField, options.type_url,
                  runtime_name + " takes " + std::string(api::kRuncOptionsType));
}

std::string named_binary(const api::Any& options) {
  auto known = runc_options(options);
  return known ? known->binary_name : "";
}

}  // namespace ctrd::engine
