// SPDX-License-Identifier: Apache-2.0
// The messages that name one process of a task by (id, exec_id), and ours. Source:
// shim-protocol.md 3.1, design.md 7
#include "api/codec.h"
#include "api/task.h"

namespace ctrd::api {

static void fields(auto& v, Is<StateRequest> auto& m) { v(1, m.id), v(2, m.exec_id); }
static void fields(auto& v, Is<StateResponse> auto& m) {
  v(1, m.id), v(2, m.bundle), v(3, m.pid), v(4, m.status), v(5, m.stdin_path), v(6, m.stdout_path);
  v(7, m.stderr_path), v(8, m.terminal), v(9, m.exit_status), v.time(10, m.exited_ns),
      v(11, m.exec_id);
}

static void fields(auto& v, Is<StartRequest> auto& m) { v(1, m.id), v(2, m.exec_id); }
static void fields(auto& v, Is<StartResponse> auto& m) { v(1, m.pid); }

static void fields(auto& v, Is<DeleteRequest> auto& m) { v(1, m.id), v(2, m.exec_id); }
static void fields(auto& v, Is<DeleteResponse> auto& m) {
  v(1, m.pid), v(2, m.exit_status), v.time(3, m.exited_ns);
}

static void fields(auto& v, Is<KillRequest> auto& m) {
  v(1, m.id), v(2, m.exec_id), v(3, m.signal), v(4, m.all);
}

static void fields(auto& v, Is<ExecProcessRequest> auto& m) {
  v(1, m.id), v(2, m.exec_id), v(3, m.terminal), v(4, m.stdin_path);
  v(5, m.stdout_path), v(6, m.stderr_path), v(7, m.spec);
}

static void fields(auto& v, Is<ResizePtyRequest> auto& m) {
  v(1, m.id), v(2, m.exec_id), v(3, m.width), v(4, m.height);
}

static void fields(auto& v, Is<CloseIORequest> auto& m) {
  v(1, m.id), v(2, m.exec_id), v(3, m.stdin_closed);
}

static void fields(auto& v, Is<WaitRequest> auto& m) { v(1, m.id), v(2, m.exec_id); }
static void fields(auto& v, Is<WaitResponse> auto& m) {
  v(1, m.exit_status), v.time(2, m.exited_ns);
}

static void fields(auto& v, Is<InfoResponse> auto& m) {
  v(1, m.version), v(2, m.instance), v(3, m.shim_pid), v(4, m.owned);
}
static void fields(auto& v, Is<LimitRequest> auto& m) {
  v(1, m.id), v(2, m.exec_id), v(3, m.timeout_ns);
}
static void fields(auto& v, Is<ExitInfo> auto& m) {
  v(1, m.status), v(2, m.signal), v(3, m.started_ns), v(4, m.exited_ns);
  v(5, m.oom_killed), v(6, m.escalated), v(7, m.output_cut), v(8, m.timed_out), v(9, m.pid);
}
static void fields(auto& v, Is<ProcessDetails> auto& m) { v(1, m.exec_id); }

CTRD_API_CODEC(StateRequest)
CTRD_API_CODEC(StateResponse)
CTRD_API_CODEC(StartRequest)
CTRD_API_CODEC(StartResponse)
CTRD_API_CODEC(DeleteRequest)
CTRD_API_CODEC(DeleteResponse)
CTRD_API_CODEC(KillRequest)
CTRD_API_CODEC(ExecProcessRequest)
CTRD_API_CODEC(ResizePtyRequest)
CTRD_API_CODEC(CloseIORequest)
CTRD_API_CODEC(WaitRequest)
CTRD_API_CODEC(WaitResponse)
CTRD_API_CODEC(InfoResponse)
CTRD_API_CODEC(LimitRequest)
CTRD_API_CODEC(ExitInfo)
CTRD_API_CODEC(ProcessDetails)

}  // namespace ctrd::api
