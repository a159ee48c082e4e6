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
  for (pid_t pid = 0; (pid = waitpid(-1, &raw, WNOHANG)) > 0;) {
    Ended how = ended(raw, wall_ns());
    auto row = expected_.find(pid);
    if (row != expected_.end()) {
      row->second->ended = how;
      row->second->changed.notify();
    } else if (!keeps_.empty()) {
      unknown_[pid] = {how, ++now_};
    }
  }
}

Reaper::Keep::Keep(Reaper& reaper) : reaper_(reaper), since_(++reaper.now_) {
  reaper_.keeps_.insert(since_);
}

Reaper::Keep::~Keep() {
  reaper_.keeps_.erase(reaper_.keeps_.find(since_));
  reaper_.forget();
}

void Reaper::forget() {
  if (keeps_.empty()) return unknown_.clear();
  std::erase_if(unknown_, [&](const auto& row) { return row.second.at < *keeps_.begin(); });
}

void Reaper::expect(pid_t pid) {
  unknown_.erase(pid);
  expected_[pid] = std::make_shared<Expected>();
}

bool Reaper::adopt(pid_t pid, const Keep& keep) {
  if (expected_.contains(pid)) return false;
  auto row = unknown_.find(pid);
  bool ended = row != unknown_.end() && row->second.at > keep.since_;
  if (!ended && !is_child(pid)) return false;
  auto expected = std::make_shared<Expected>();
  if (ended) expected->ended = row->second.ended;
  unknown_.erase(pid);
  expected_[pid] = std::move(expected);
  return true;
}

asio::awaitable<std::optional<Ended>> Reaper::wait(pid_t pid, TimePoint deadline) {
  std::shared_ptr<Expected> row = expected_.at(pid);
  while (!row->ended) {
    if (Clock::now() >= deadline) co_return std::nullopt;
    co_await row->changed.wait(deadline);
  }
  expected_.erase(pid);
  co_return row->ended;
}

bool Reaper::has_ended(pid_t pid) const {
  auto row = expected_.find(pid);
  return row != expected_.end() && row->second->ended;
}

bool Reaper::is_child(pid_t pid) {
  siginfo_t info{};
  return waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

}  // namespace ctrd::shim
