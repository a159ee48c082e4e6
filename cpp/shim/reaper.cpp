// SPDX-License-Identifier: Apache-2.0
#include "shim/reaper.h"

#include <sys/wait.h>

namespace ctrd::shim {
namespace {

Ended ended(int raw, int64_t now) {
  if (WIFSIGNALED(raw))
    return {.status = 128 + WTERMSIG(raw), .signal = WTERMSIG(raw), .time_ns = now};
  return {.status = WEXITSTATUS(raw), .signal = 0, .time_ns = now};
}

}  // namespace

void Reaper::reap() {
  int raw = 0;
  bool any = false;
  for (pid_t pid = 0; (pid = waitpid(-1, &raw, WNOHANG)) > 0;) {
    if (keeping_ == 0 && !expected_.contains(pid)) continue;
    ended_[pid] = ended(raw, wall_ns());
    any = true;
  }
  if (any) changed_.notify();
}

void Reaper::expect(pid_t pid) { expected_.insert(pid); }

asio::awaitable<std::optional<Ended>> Reaper::wait(pid_t pid, TimePoint deadline) {
  while (!ended_.contains(pid)) {
    if (Clock::now() >= deadline) co_return std::nullopt;
    co_await changed_.wait(deadline);
  }
  Ended result = ended_[pid];
  ended_.erase(pid);
  expected_.erase(pid);
  co_return result;
}

void Reaper::drop(pid_t pid) {
  expected_.erase(pid);
  ended_.erase(pid);
}

bool Reaper::is_child(pid_t pid) {
  siginfo_t info{};
  return waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

void Reaper::forget() {
  if (--keeping_ > 0) return;
  std::erase_if(ended_, [this](const auto& row) { return !expected_.contains(row.first); });
}

}  // namespace ctrd::shim
