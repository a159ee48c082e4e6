// SPDX-License-Identifier: Apache-2.0
// The messages about a whole task. Those about one of its processes: task_process.cpp. Source:
// shim-protocol.md 3.1
#include "api/task.h"

#include "api/codec.h"

namespace ctrd::api {

static void fields(auto&, Is<Empty> auto&) {}

static void fields(auto& v, Is<CreateRequest> auto& m) {
  v(1, m.id), v(2, m.bundle), v(3, m.rootfs), v(4, m.terminal), v(5, m.stdin_path);
  v(6, m.stdout_path), v(7, m.stderr_path), v(8, m.checkpoint), v(9, m.parent_checkpoint),
      v(10, m.options);
}
static void fields(auto& v, Is<CreateResponse> auto& m) { v(1, m.pid); }

static void fields(auto& v, Is<PidsRequest> auto& m) { v(1, m.id); }
static void fields(auto& v, Is<ProcessInfo> auto& m) { v(1, m.pid), v(2, m.info); }
static void fields(auto& v, Is<PidsResponse> auto& m) { v(1, m.processes); }

static void fields(auto& v, Is<PauseRequest> auto& m) { v(1, m.id); }
static void fields(auto& v, Is<ResumeRequest> auto& m) { v(1, m.id); }
static void fields(auto& v, Is<CheckpointTaskRequest> auto& m) {
  v(1, m.id), v(2, m.path), v(3, m.options);
}
static void fields(auto& v, Is<UpdateTaskRequest> auto& m) {
  v(1, m.id), v(2, m.resources), v(3, m.annotations);
}

static void fields(auto& v, Is<StatsRequest> auto& m) { v(1, m.id); }
static void fields(auto& v, Is<StatsResponse> auto& m) { v(1, m.stats); }

static void fields(auto& v, Is<ConnectRequest> auto& m) { v(1, m.id); }
static void fields(auto& v, Is<ConnectResponse> auto& m) {
  v(1, m.shim_pid), v(2, m.task_pid), v(3, m.version);
}
static void fields(auto& v, Is<ShutdownRequest> auto& m) { v(1, m.id), v(2, m.now); }

CTRD_API_CODEC(Any)
CTRD_API_CODEC(Empty)
CTRD_API_CODEC(CreateRequest)
CTRD_API_CODEC(CreateResponse)
CTRD_API_CODEC(PidsRequest)
CTRD_API_CODEC(PidsResponse)
CTRD_API_CODEC(PauseRequest)
CTRD_API_CODEC(ResumeRequest)
CTRD_API_CODEC(CheckpointTaskRequest)
CTRD_API_CODEC(UpdateTaskRequest)
CTRD_API_CODEC(StatsRequest)
CTRD_API_CODEC(StatsResponse)
CTRD_API_CODEC(ConnectRequest)
CTRD_API_CODEC(ConnectResponse)
CTRD_API_CODEC(ShutdownRequest)

}  // namespace ctrd::api
