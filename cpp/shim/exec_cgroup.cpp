// SPDX-License-Identifier: Apache-2.0
#include "shim/exec_cgroup.h"

#include <algorithm>

#include "base/cgroup.h"
#include "base/error.h"
#include "base/log.h"

namespace ctrd::shim {
namespace {

constexpr Nanos kFirstPause = std::chrono::milliseconds(1);
constexpr Nanos kLongestPause = std::chrono::milliseconds(100);

// How many there were; 0 too if that cannot be told.
std::size_t kill_once(const std::string& path, bool hold) {
  try {
    return kill_cgroup_once(path, hold);
  } catch (const Error& error) {
    log(Level::kWarning, error.message());
    return 0;
  }
}

}  // namespace

void ExecCgroup::make(const std::string& container, std::string name) {
  name_ = std::move(name);
  make_child_cgroup(container, name_);
  path_ = container + "/" + name_;
}

asio::awaitable<void> ExecCgroup::kill(TimePoint deadline) {
  if (!exists()) co_return;
  bool hold = false;
  Nanos pause = kFirstPause;
  while (kill_once(path_, hold) > 0 && Clock::now() < deadline) {
    hold = true;
    co_await pause_for(pause);
    pause = std::min(2 * pause, kLongestPause);
  }
}

bool ExecCgroup::remove() {
  try {
    if (exists() && !remove_empty_cgroup(path_)) return false;
  } catch (const Error& error) {
    log(Level::kWarning, error.message());
    return false;
  }
  path_.clear();
  return true;
}

}  // namespace ctrd::shim
