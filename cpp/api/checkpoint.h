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
// What our engine tells besides, in the bytes of Create's Options and of CheckpointOptions: fields
// of the same message, for who asks.
struct CriuOptions {
  bool close_tcp = false;     // connections are closed in what is restored
  std::string hostname = {};  // Create: "" is the one it had
  // No packet that comes meanwhile matters, for no connection is kept. CRIU 4.1 and later.
  bool skip_network_lock = false;
  // Create: once it runs, these two directories change places: what it has for its own layer, and
  // what that replaces. Absolute paths on one filesystem; "": none.
  std::string layer = {}, replaced = {};
  std::vector<std::string> empty_namespaces = {};  // Create: as Checkpoint was told
};
// ctrd.shim.v1.Shim/Hold: the task is frozen from its answer on for as long as the connection
// lasts, for whoever has called: so a client that dies leaves nothing frozen. A second one, and a
// Checkpoint by another connection, are kFailedPrecondition meanwhile.
struct HoldRequest {
  std::string id;
};

std::string encode(const CheckpointOptions& m);
template <>
CheckpointOptions decode<CheckpointOptions>(std::string_view bytes);
std::string encode(const LinuxCheckpointOptions& m);
template <>
LinuxCheckpointOptions decode<LinuxCheckpointOptions>(std::string_view bytes);
std::string encode(const CriuOptions& m);
template <>
CriuOptions decode<CriuOptions>(std::string_view bytes);
std::string encode(const HoldRequest& m);
template <>
HoldRequest decode<HoldRequest>(std::string_view bytes);

}  // namespace ctrd::api
