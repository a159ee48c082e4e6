// SPDX-License-Identifier: Apache-2.0
// The messages of containerd.task.v2.Task and v3 (the same field for field), as plain structs with
// protozero codecs. The .proto beside it is the oracle for the tests. Source: shim-protocol.md 3.1.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/mount.h"

namespace ctrd::api {

inline constexpr std::string_view kTaskV2 = "containerd.task.v2.Task";
inline constexpr std::string_view kTaskV3 = "containerd.task.v3.Task";
inline constexpr std::string_view kShimV1 = "ctrd.shim.v1.Shim";

// "Not exited yet" on the wire: seconds of the year 1, as Go sends it; 0 ns here.
inline constexpr int64_t kNotYet =
    0;  // every *_ns: since 1970, in ns; kNotYet if it has not happened

enum class Status : int {
  kUnknown = 0,
  kCreated = 1,
  kRunning = 2,
  kStopped = 3,
  kPaused = 4,
  kPausing = 5
};

struct Any {
  std::string type_url;
  std::string value;
  bool operator==(const Any&) const = default;
};

// Every message: `std::string encode(const T&)` and `T decode<T>(std::string_view)`; decode throws
// kInvalidArgument naming the message.
struct Empty {};
struct StateRequest {
  std::string id, exec_id;
};
struct StateResponse {
  std::string id, bundle;
  uint32_t pid = 0;
  Status status = Status::kUnknown;
  std::string stdin_path, stdout_path, stderr_path;
  bool terminal = false;
  uint32_t exit_status = 0;
  int64_t exited_ns = kNotYet;
  std::string exec_id;
};
struct CreateRequest {
  std::string id, bundle;
  std::vector<Mount> rootfs;
  bool terminal = false;
  std::string stdin_path, stdout_path, stderr_path, checkpoint, parent_checkpoint;
  Any options;
};
struct CreateResponse {
  uint32_t pid = 0;
};
struct StartRequest {
  std::string id, exec_id;
};
struct StartResponse {
  uint32_t pid = 0;
};
struct DeleteRequest {
  std::string id, exec_id;
};
struct DeleteResponse {
  uint32_t pid = 0, exit_status = 0;
  int64_t exited_ns = kNotYet;
};
struct PidsRequest {
  std::string id;
};
struct ProcessInfo {
  uint32_t pid = 0;
  Any info;
};
struct PidsResponse {
  std::vector<ProcessInfo> processes;
};
struct PauseRequest {
  std::string id;
};
struct ResumeRequest {
  std::string id;
};
struct CheckpointTaskRequest {
  std::string id, path;
  Any options;
};
struct KillRequest {
  std::string id, exec_id;
  uint32_t signal = 0;
  bool all = false;
};
struct ExecProcessRequest {
  std::string id, exec_id;
  bool terminal = false;
  std::string stdin_path, stdout_path, stderr_path;
  Any spec;
};
struct ResizePtyRequest {
  std::string id, exec_id;
  uint32_t width = 0, height = 0;
};
struct CloseIORequest {
  std::string id, exec_id;
  bool stdin_closed = false;
};
struct UpdateTaskRequest {
  std::string id;
  Any resources;
  std::map<std::string, std::string> annotations;
};
struct WaitRequest {
  std::string id, exec_id;
};
struct WaitResponse {
  uint32_t exit_status = 0;
  int64_t exited_ns = kNotYet;
};
struct StatsRequest {
  std::string id;
};
struct StatsResponse {
  Any stats;
};
struct ConnectRequest {
  std::string id;
};
struct ConnectResponse {
  uint32_t shim_pid = 0, task_pid = 0;
  std::string version;
};
struct ShutdownRequest {
  std::string id;
  bool now = false;
};

// ctrd.shim.v1.Shim: Info(Empty), Detach(Empty) -> Empty, Limit -> Empty (before Start:
// kFailedPrecondition later).
struct InfoResponse {
  std::string version, instance;
  uint32_t shim_pid = 0;
  bool owned = false;  // an owner is watched
};
struct LimitRequest {
  std::string id, exec_id;
  int64_t timeout_ns = 0;
};

template <typename T>
T decode(std::string_view bytes);

#define CTRD_API_MESSAGE(T)       \
  std::string encode(const T& m); \
  template <>                     \
  T decode<T>(std::string_view bytes);
CTRD_API_MESSAGE(Any)
CTRD_API_MESSAGE(Empty)
CTRD_API_MESSAGE(StateRequest)
CTRD_API_MESSAGE(StateResponse)
CTRD_API_MESSAGE(CreateRequest)
CTRD_API_MESSAGE(CreateResponse)
CTRD_API_MESSAGE(StartRequest)
CTRD_API_MESSAGE(StartResponse)
CTRD_API_MESSAGE(DeleteRequest)
CTRD_API_MESSAGE(DeleteResponse)
CTRD_API_MESSAGE(PidsRequest)
CTRD_API_MESSAGE(PidsResponse)
CTRD_API_MESSAGE(PauseRequest)
CTRD_API_MESSAGE(ResumeRequest)
CTRD_API_MESSAGE(CheckpointTaskRequest)
CTRD_API_MESSAGE(KillRequest)
CTRD_API_MESSAGE(ExecProcessRequest)
CTRD_API_MESSAGE(ResizePtyRequest)
CTRD_API_MESSAGE(CloseIORequest)
CTRD_API_MESSAGE(UpdateTaskRequest)
CTRD_API_MESSAGE(WaitRequest)
CTRD_API_MESSAGE(WaitResponse)
CTRD_API_MESSAGE(StatsRequest)
CTRD_API_MESSAGE(StatsResponse)
CTRD_API_MESSAGE(ConnectRequest)
CTRD_API_MESSAGE(ConnectResponse)
CTRD_API_MESSAGE(ShutdownRequest)
CTRD_API_MESSAGE(InfoResponse)
CTRD_API_MESSAGE(LimitRequest)
#undef CTRD_API_MESSAGE

}  // namespace ctrd::api
