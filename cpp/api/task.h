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

// ctrd.shim.v1.Shim: Info(Empty), Detach(Empty) -> Empty, Hold (checkpoint.h), Limit -> Empty
// (before Start: kFailedPrecondition later), Escalate(KillRequest) -> Empty. And two of Task's
// verbs whose answer is all that there is to say of an exit, for init and execs alike:
//   Wait(WaitRequest) -> ExitInfo      parks as Task's Wait, may be asked again until Delete
//   Delete(DeleteRequest) -> ExitInfo  as Task's Delete; only this one knows output_cut
// Init's Wait answers when what it has written is in its log and files (at most Options.drain_ns),
// its exec's at once, below; what a client reads from a FIFO flows on until Delete, which bounds
// that (at once with OnExit::kDelete). The exit file is written before Wait is answered, and never
// again. Other shims answer kUnimplemented: then Task's own Wait and Delete have the status alone.
//
// The life of an exec, as whoever drives it sees it:
//   the client makes exec/<exec id>/ in the bundle (0700), its FIFOs there, and opens those for
//     reading; Exec with their absolute paths ("" is /dev/null, "stdout:" as stderr merges it);
//     spec is the process JSON, with terminal and consoleSize {height, width} if it wants a tty
//     (the request's terminal counts). Then Limit, if it has a deadline. Start answers the host
//     pid.
//   Kill of one that is being started: SIGKILL is remembered, so that it never runs on; others are
//     kFailedPrecondition. all: with what it has forked, if it has a deadline.
//   Wait answers at its exit, whatever still holds its output, when what it has written itself is
//     in its files ("file:"). Delete then passes on what is in the pipes (at most Options.drain_ns;
//     ExitInfo.output_cut says that there was more), closes the FIFOs and removes exec/<exec id>/.
//     A FIFO ends by itself once nobody writes to it any more.
//   A Start that fails leaves it as it was: Delete it. After init's end Start and Exec are
//     kFailedPrecondition. exec/<exec id>/pid (decimal) and process.json are there while it is.
//   A tty is one stream, stdout; ResizePty before Start is remembered. crun (1.8) gives a tty its
//     size when the program may run already: that then sees 0x0 first, and a SIGWINCH.
struct InfoResponse {
  std::string version, instance;
  uint32_t shim_pid = 0;
  bool owned = false;  // an owner is watched
};
struct LimitRequest {
  std::string id, exec_id;
  int64_t timeout_ns = 0;
};
struct ExitInfo {
  uint32_t status = 0;  // exit code, or 128 + signal
  uint32_t signal = 0;  // 0: it exited
  int64_t started_ns = kNotYet, exited_ns = kNotYet;
  // For want of memory. Init: the kernel killed something in the container, and init did not end
  // well (a status of 0, or our own SIGKILL, says that it was not for that). An exec: itself.
  bool oom_killed = false;
  bool escalated = false, output_cut = false;
  bool timed_out = false;  // its Limit killed it, with all that it had forked
  uint32_t pid = 0;
};

// The info of a ProcessInfo that belongs to an exec.
inline constexpr std::string_view kProcessDetailsType = "containerd.runc.v1.ProcessDetails";
struct ProcessDetails {
  std::string exec_id;
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
CTRD_API_MESSAGE(ExitInfo)
CTRD_API_MESSAGE(ProcessDetails)
#undef CTRD_API_MESSAGE

}  // namespace ctrd::api
