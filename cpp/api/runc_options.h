// SPDX-License-Identifier: Apache-2.0
// What containerd's clients put into the options of a start and of Create, for runc's shim and for
// any other: containerd.runc.v1.Options, the older forms of containerd.linux.runc that clients
// before 2.0 send to shims of other names, and runtimeoptions.v1.Options (CRI). Not what they mean:
// shim/containerd_options.h. Source: shim-protocol.md 4.1, 4.6.
#pragma once

#include <string>

#include "api/task.h"

namespace ctrd::api {

inline constexpr std::string_view kRuncOptionsType = "containerd.runc.v1.Options";
inline constexpr std::string_view kCreateOptionsType = "containerd.linux.runc.CreateOptions";
inline constexpr std::string_view kLinuxRuncOptionsType = "containerd.linux.runc.RuncOptions";
inline constexpr std::string_view kRuntimeOptionsType = "runtimeoptions.v1.Options";
inline constexpr std::string_view kCriRuntimeOptionsType = "cri.runtimeoptions.v1.Options";

struct RuncOptions {
  bool no_pivot_root = false, no_new_keyring = false;
  std::string shim_cgroup = {};
  uint32_t io_uid = 0, io_gid = 0;
  std::string binary_name = {}, root = {}, criu_path = {};
  bool systemd_cgroup = false;
  std::string criu_image_path = {}, criu_work_path = {};
};
// containerd.linux.runc.CreateOptions, without what is for checkpoints.
struct RuncCreateOptions {
  bool no_pivot_root = false, no_new_keyring = false;
  std::string shim_cgroup = {};
  uint32_t io_uid = 0, io_gid = 0;
};
struct LinuxRuncOptions {
  std::string runtime = {}, runtime_root = {}, criu_path = {};
  bool systemd_cgroup = false;
};
// type_url: of what config_path or config_body (TOML) describe.
struct RuntimeOptions {
  std::string type_url = {}, config_path = {}, config_body = {};
};

// encode and decode as every message has them (task.h).
std::string encode(const RuncOptions& m);
template <>
RuncOptions decode<RuncOptions>(std::string_view bytes);
std::string encode(const RuncCreateOptions& m);
template <>
RuncCreateOptions decode<RuncCreateOptions>(std::string_view bytes);
std::string encode(const LinuxRuncOptions& m);
template <>
LinuxRuncOptions decode<LinuxRuncOptions>(std::string_view bytes);
std::string encode(const RuntimeOptions& m);
template <>
RuntimeOptions decode<RuntimeOptions>(std::string_view bytes);

}  // namespace ctrd::api
