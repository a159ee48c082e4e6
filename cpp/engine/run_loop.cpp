// SPDX-License-Identifier: Apache-2.0
#include "engine/run_loop.h"

#include <algorithm>

#include "api/task.h"
#include "base/error.h"
#include "engine/other_task.h"
#include "engine/rpc.h"

namespace ctrd::engine {
namespace {

// After the exit: the shim passes on what is left as we read it, so silence is something else that
// holds a pipe open.
constexpr Nanos kLastBytes = std::chrono::seconds(5);

Std stream_of(RunOptions::Sink sink) {
  if (sink == RunOptions::Sink::kDevnull) return Std::kDevnull;
  return sink == RunOptions::Sink::kStdout ? Std::kStdout : Std::kPipe;
}

}  // namespace

Stdio stdio_of(const RunOptions& options) {
  return {options.has_input ? Std::kPipe : Std::kDevnull, stream_of(options.out),
          stream_of(options.err)};
}

int64_t time_limit(const std::optional<int64_t>& timeout_ns) {
  return timeout_ns ? std::max<int64_t>(*timeout_ns, 1) : 0;
}

void throw_timed_out(const std::string& what, const std::optional<int64_t>& timeout_ns) {
  std::string limit = std::to_string(static_cast<double>(timeout_ns.value_or(0)) / 1e9);
  throw Error(Code::kDeadlineExceeded, what + ": it was killed after " + limit + " s")
      .with("timed_out", "true")
      .with("timeout", limit);
}

void RunLoop::set(Task task, std::string exec) {
  task_ = std::move(task);
  exec_ = std::move(exec);
}

// The shim holds the FIFO open for whoever attaches, so it must be told.
void RunLoop::end_input() {
  if (!moved_.take_end_of_input()) return;
  std::string request = api::encode(api::CloseIORequest{task_->id, exec_, true});
  Wait limit = wait_.within(core_.config.rpc_timeout);
  begin_call(dir(), api::kTaskV2, "CloseIO", std::move(request), limit).finish(limit);
}

void RunLoop::keep_limit() {
  if (is_other(*task_) && options_.timeout_ns)
    limit_ = after(Nanos(time_limit(options_.timeout_ns)));
}

void RunLoop::end_late() {
  limit_ = kForever;
  kill_late(core_, *task_, wait_.within(core_.config.rpc_timeout));
}

void RunLoop::poll(std::vector<pollfd>& fds) {
  end_input();
  moved_.add(&fds);
  Wait wait = wait_;
  wait.deadline = std::min(wait.deadline, limit_);
  if (poll_until(fds, wait) > 0) return moved_.step(fds);
  if (wait_.expired())
    throw_timeout("run" + (task_ ? " in container \"" + task_->id + "\"" : ""), wait_);
  end_late();
}

void RunLoop::pump(ttrpc::Call& call) {
  while (!call.advance()) {
    std::vector<pollfd> fds{{call.fd(), POLLIN, 0}};
    poll(fds);
  }
}

void RunLoop::drain() {
  while (!moved_.ended()) {
    std::vector<pollfd> fds;
    moved_.add(&fds);
    Wait limit = moved_.pending() ? wait_ : wait_.within(kLastBytes);
    if (poll_until(fds, limit) == 0) return;
    moved_.step(fds);
  }
}

std::string RunLoop::call(std::string_view service, std::string_view method, std::string payload) {
  ShimCall asked{service, method, std::move(payload)};
  ShimCall sent = prepared(*task_, asked);
  ttrpc::Call call = begin_call(dir(), sent.service, sent.method, sent.payload, wait_);
  pump(call);
  try {
    return answered(core_, *task_, asked, call.result());
  } catch (const Error& error) {
    throw refused(*task_, asked, error);
  }
}

}  // namespace ctrd::engine
