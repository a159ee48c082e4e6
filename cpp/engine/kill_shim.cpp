// SPDX-License-Identifier: Apache-2.0
#include "engine/kill_shim.h"

#include <signal.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "engine/children.h"
#include "engine/settle.h"
#include "engine/task.h"

namespace ctrd::engine {
namespace {

constexpr Nanos kPatience = std::chrono::milliseconds(80);
constexpr Nanos kEndLimit = std::chrono::seconds(10);

// Only of a process that is stopped, or the numbers would mean nothing.
void kill_children(pid_t parent) {
  std::string number = std::to_string(parent);
  std::ifstream children("/proc/" + number + "/task/" + number + "/children");
  for (pid_t child = 0; children >> child;) {
    bool leads = ::getpgid(child) == child;  // a runtime does, so that a script's children go too
    ::kill(leads ? -child : child, SIGKILL);
  }
}

// SIGSTOP takes effect when the process is next scheduled.
bool wait_stopped(pid_t pid) {
  for (Wait wait{after(std::chrono::milliseconds(100)), {}}; !wait.expired();) {
    auto state = process_state(pid);
    if (!state) return false;
    if (*state == 'T') return true;
    poll_until({}, wait.within(std::chrono::microseconds(200)));
  }
  return false;
}

}  // namespace

void end_shim_soon(const ProcessKey& shim) {
  signal_process(shim, SIGTERM);
  if (wait_process(shim, Wait{after(kPatience), {}})) return;
  kill_shim(shim);
  wait_process(shim, cleanup_wait());
}

void end_at_once(Core& core, const TaskRef& ref) {
  Wait wait = cleanup_wait(kEndLimit);
  auto task = find_task(core, ref, wait);
  if (!task) return;
  end_shim_soon(shim_of(task->status));
  settle(core, ref.ns, ref.id, wait);
}

void kill_shim(const ProcessKey& shim) {
  if (signal_process(shim, SIGSTOP) && wait_stopped(shim.pid)) kill_children(shim.pid);
  signal_process(shim, SIGKILL);
}

}  // namespace ctrd::engine
