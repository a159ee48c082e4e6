// SPDX-License-Identifier: Apache-2.0
// What a task uses, from the files of its cgroup: its shim is asked nothing.
#include "base/cgroup.h"
#include "base/error.h"
#include "engine/task.h"
#include "engine/verbs.h"

namespace ctrd::engine {

TaskStats task_stats(Core& core, const TaskRef& ref, const Wait& wait) {
  Task task = get_task(core, ref, wait);
  TaskStats stats{task.status.instance, {}};
  if (!task.exit) stats.figures = read_cgroup_stats(open_cgroup(task.status.cgroups_path));
  if (stats.figures.raw.empty())  // it had ended, or did meanwhile
    throw not_found(Kind::kTask, "container \"" + ref.id + "\": its task has ended");
  return stats;
}

}  // namespace ctrd::engine
