// SPDX-License-Identifier: Apache-2.0
// The processes of a container: its cgroup says which, /proc what they are, and the shim which of
// them are execs.
#include <algorithm>

#include "base/cgroup.h"
#include "base/error.h"
#include "engine/rpc.h"
#include "engine/verbs.h"

namespace ctrd::engine {
namespace {

constexpr Nanos kPatience = std::chrono::seconds(10);

// pid -> exec id. A shim that does not answer, or knows no execs, spoils nothing.
std::map<uint32_t, std::string> exec_ids(Core& core, const Task& task, const Wait& wait) {
  std::map<uint32_t, std::string> ids;
  try {
    api::PidsRequest request{task.id};
    auto reply = ask<api::PidsResponse>(core, task, "Pids", request, wait.within(kPatience));
    if (!reply) return ids;
    for (const auto& process : reply->processes)
      if (process.info.type_url.ends_with(api::kProcessDetailsType))
        ids[process.pid] = api::decode<api::ProcessDetails>(process.info.value).exec_id;
  } catch (const Error&) {
    wait.check();
  }
  return ids;
}

}  // namespace

std::vector<TaskProcess> task_processes(Core& core, const TaskRef& ref, const Wait& wait) {
  Task task = get_task(core, ref, wait);
  std::vector<TaskProcess> processes;
  if (task.exit) return processes;
  auto ids = exec_ids(core, task, wait);
  for (pid_t pid : cgroup_pids(task.status.cgroups_path)) {
    auto id = ids.find(static_cast<uint32_t>(pid));
    if (auto facts = process_facts(pid))
      processes.push_back({std::move(*facts), id == ids.end() ? "" : id->second});
  }
  // A number that was read about and is no longer here may have been another's.
  auto still = cgroup_pids(task.status.cgroups_path);
  std::erase_if(processes, [&](const TaskProcess& process) {
    return !std::binary_search(still.begin(), still.end(), process.facts.pid);
  });
  return processes;
}

}  // namespace ctrd::engine
