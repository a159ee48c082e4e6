// SPDX-License-Identifier: Apache-2.0
// What a checkpoint is asked for: containerd's options in its two forms (the older one is what
// clients before 2.0 send to shims of other names), and our own service's Hold. Not what they mean:
// shim/checkpoint.h. Source: shim-protocol.md 4.1, 4.2.
#pragma once

#include <string>
#include <vector>

#include "api/task.h"

namespace ctrd::api {

inline constexpr std::string_view kCheckpointOptionsType = "containerd.runc.v1.CheckpointOptions";
inline constexpr std::string_view kLinuxCheckpointOptionsType =
    "containerd.linux.runc.CheckpointOptions";

inline constexpr const char* kCriuDir = "criu";          // of a bundle: work files, while CRIU runs
inline constexpr const char* kCriuLogFile = "criu.log";  // what it said when it last failed

struct CheckpointOptions {
  bool exit = false, open_tcp = false, external_unix_sockets = false, terminal = false,
       file_locks = false;
  std::vector<std::string> empty_namespaces = {};
  std::string cgroups_mode = {}, image_path = {}, work_path = {};
};
struct LinuxCheckpointOptions {  // the same, image_path and work_path in each other's place
  CheckpointOptions options = {};
};
// What Options has besides when a task is to be restored: fields of the same message, for who asks.
struct RestoreOptions {
  bool close_tcp = false;     // connections are closed, not taken up again
  std::string hostname = {};  // "": the one it had
};
// ctrd.shim.v1.Shim/Hold: freezes the task for as long as the call is under way: it is answered by
// an error only. So a client that dies leaves nothing frozen.
struct HoldRequest {
  std::string id;
};

std::string encode(const CheckpointOptions& m);
template <>
CheckpointOptions decode<CheckpointOptions>(std::string_view bytes);
std::string encode(const LinuxCheckpointOptions& m);
template <>
LinuxCheckpointOptions decode<LinuxCheckpointOptions>(std::string_view bytes);
std::string encode(const RestoreOptions& m);
template <>
RestoreOptions decode<RestoreOptions>(std::string_view bytes);
std::string encode(const HoldRequest& m);
template <>
HoldRequest decode<HoldRequest>(std::string_view bytes);

}  // namespace ctrd::api
