// SPDX-License-Identifier: Apache-2.0
// What a task uses, from the files of its cgroup: its shim is asked nothing, unless it is another
// one and keeps its container where we see no cgroup of it.
#include "base/cgroup.h"
#include "base/error.h"
#include "engine/other_stats.h"
#include "engine/other_task.h"
#include "engine/rpc.h"
#include "engine/task.h"
#include "engine/verbs.h"

namespace ctrd::engine {
namespace {

Error has_ended(const std::string& id) {
  return not_found(Kind::kTask, "container \"" + id + "\": its task has ended");
}

// Such a shim has figures of what has ended too.
CgroupStats figures_of_shim(Core& core, Task* task, const Wait& wait) {
  auto reply = ask<api::StatsResponse>(core, *task, "Stats", api::StatsRequest{task->id},
                                       wait.within(core.config.rpc_timeout));
  if (reply) refresh(core, task, wait);
  if (!reply || task->exit) throw has_ended(task->id);
  return stats_of(task->status.other_shim, reply->stats);
}

}  // namespace

TaskStats task_stats(Core& core, const TaskRef& ref, const Wait& wait) {
  Task task = get_task(core, ref, wait);
  if (task.exit) throw has_ended(ref.id);
  TaskStats stats{task.status.instance, read_cgroup_stats(open_cgroup(task.status.cgroups_path))};
  if (!stats.figures.raw.empty()) return stats;
  if (!is_other(task)) throw has_ended(ref.id);
  stats.figures = figures_of_shim(core, &task, wait);
  return stats;
}

}  // namespace ctrd::engine
