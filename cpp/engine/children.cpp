// SPDX-License-Identifier: Apache-2.0
#include "engine/children.h"

#include <map>
#include <mutex>
#include <vector>

#include "engine/fork.h"

namespace ctrd::engine {
namespace {

struct Children {
  std::mutex mutex;
  std::map<pid_t, Child> by_pid, ending;
};

bool has_ended(const Child& child) { return reap(child, Wait{}.at_once()).has_value(); }

}  // namespace

void adopt_child(Child child) {
  auto& all = per_process<Children>();
  std::lock_guard lock(all.mutex);
  pid_t pid = child.pid;
  all.by_pid[pid] = std::move(child);
}

void reap_children() {
  auto& all = per_process<Children>();
  std::lock_guard lock(all.mutex);
  auto ended = [](const auto& entry) { return has_ended(entry.second); };
  std::erase_if(all.by_pid, ended);
  std::erase_if(all.ending, ended);
}

void expect_end(pid_t pid) {
  auto& all = per_process<Children>();
  std::lock_guard lock(all.mutex);
  if (auto child = all.by_pid.extract(pid)) all.ending.insert(std::move(child));
}

void reap_ending(const Wait& wait) {
  auto& all = per_process<Children>();
  std::lock_guard lock(all.mutex);
  std::erase_if(all.ending,
                [&](const auto& entry) { return reap(entry.second, wait).has_value(); });
}

bool wait_process(const ProcessKey& key, const Wait& wait) {
  auto pidfd = open_pidfd(key);
  if (pidfd) {
    pollfd entry{pidfd->get(), POLLIN, 0};
    if (poll_until({&entry, 1}, wait) == 0) return false;
  }
  reap_children();
  return true;
}

}  // namespace ctrd::engine
