// SPDX-License-Identifier: Apache-2.0
// What containerd says to a shim before there is a connection, and what it answers: BootstrapParams
// on stdin of `start` (containerd 2.3 on), BootstrapResult, RuntimeInfo on stdout of `-info`.
// Source: shim-protocol.md 2.6, 2.12.
#pragma once

#include <string>
#include <vector>

#include "api/task.h"

namespace ctrd::api {

struct Extension {
  Any value;
};
// Of containerd.runtime.bootstrap.v1. log_level: below 0 is more than info.
struct BootstrapParams {
  std::string instance_id, ns;
  int32_t log_level = 0;
  std::string containerd_version, ttrpc_address, grpc_address, containerd_binary;
  std::vector<Extension> extensions;
  std::string socket_dir;
};
// What `start` of a new shim prints.
struct BootstrapResult {
  int32_t version = 0;
  std::string address, protocol;
};
struct RuntimeVersion {
  std::string version, revision;
};
struct RuntimeInfo {
  std::string name;
  RuntimeVersion version;
  Any options, features;
};
// The type of RuntimeInfo.features: the JSON that an OCI runtime's `features` prints.
inline constexpr std::string_view kFeaturesType =
    "types.containerd.io/opencontainers/runtime-spec/1/features/Features";

// encode and decode as every message has them (task.h).
std::string encode(const BootstrapParams& m);
template <>
BootstrapParams decode<BootstrapParams>(std::string_view bytes);
std::string encode(const BootstrapResult& m);
template <>
BootstrapResult decode<BootstrapResult>(std::string_view bytes);
std::string encode(const RuntimeInfo& m);
template <>
RuntimeInfo decode<RuntimeInfo>(std::string_view bytes);

}  // namespace ctrd::api
