// SPDX-License-Identifier: Apache-2.0
// Reading records. Status comes from files, never from an RPC.
#include <algorithm>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/identifier.h"
#include "engine/its_own.h"
#include "engine/other_shim.h"
#include "engine/rpc.h"
#include "engine/task.h"
#include "engine/verbs.h"
#include "metadata/adaptors.h"

namespace ctrd::engine {
namespace {

Error no_container(const std::string& ns, const std::string& id) {
  return not_found(Kind::kContainer, "container \"" + id + "\": not found in namespace " + ns)
      .with("id", id);
}

// on_exit="delete", and its task has ended: it is removed.
bool is_over(Core& core, const std::string& ns, const metadata::Container& record,
             const Wait& wait) {
  if (record.on_exit != metadata::OnExit::kDelete) return false;
  auto task = find_task(core, {ns, record.id, ""}, wait);
  if (!task || !has_expired(*task)) return false;
  sweep_expired(core, ns, record.id, wait.at_once());
  return true;
}

// A task that cannot be settled now (somebody else is at it, its processes do not end) or read does
// not spoil the list.
ContainerInfo with_any_status(Core& core, const std::string& ns, const metadata::Container& record,
                              const Wait& wait) {
  try {
    return with_status(core, ns, record, wait);
  } catch (const Error& error) {
    if (!is_its_own(error, wait)) throw;
    ContainerInfo info = describe(record);
    info.status = TaskStatus::kUnknown;
    return info;
  }
}

// The record, unless its owner is dead, or its task has ended and on_exit says "delete": then it is
// removed, now or by whoever comes when its shim is gone.
std::optional<metadata::Container> find_record(Core& core, const std::string& ns,
                                               const std::string& id, const Wait& wait) {
  check_namespace(ns);
  check_identifier("id", id);
  auto record = core.containers.find(ns, id, wait);
  if (!record) return record;
  if (is_abandoned(core, ns, *record, wait)) {
    sweep(core, ns, *record, wait.at_once());
    return std::nullopt;
  }
  return is_over(core, ns, *record, wait) ? std::nullopt : record;
}

bool has_labels(const metadata::Container& record, const ListOptions& options) {
  for (const auto& [key, value] : options.labels) {
    auto found = record.labels.find(key);
    if (found == record.labels.end() || (value && found->second != *value)) return false;
  }
  return true;
}

// Names of the bundles of a namespace: one listing instead of an open for each container.
std::set<std::string> bundle_names(Core& core, const std::string& ns) {
  auto dir = find_dir_at(core.root.state.get(), ns);
  if (!dir) return {};
  auto names = list_dir(dir->get());
  return {names.begin(), names.end()};
}

// Which owners are dead, each asked once.
class Abandoned {
 public:
  explicit Abandoned(Core& core) : core_(core) {}
  bool operator()(const std::string& ns, const metadata::Container& record, const Wait& wait) {
    if (record.lifetime == metadata::Lifetime::kDetached) return false;
    auto [entry, fresh] = known_.try_emplace(record.owner, false);
    if (fresh) entry->second = core_.owner_has_died(record);
    return entry->second && is_abandoned(core_, ns, record, wait);
  }

 private:
  Core& core_;
  std::map<uint64_t, bool> known_;
};

// Takes the record apart: a list of many copies none.
ContainerInfo info_of(metadata::Container record) {
  ContainerInfo info;
  info.runtime = runtime_of(record);
  info.id = std::move(record.id);
  info.image = std::move(record.image);
  info.rootfs = std::move(record.rootfs);
  info.labels = std::move(record.labels);
  info.annotations = std::move(record.annotations);
  info.created_ns = record.created_ns;
  info.updated_ns = record.updated_ns;
  info.snapshotter = std::move(record.snapshotter);
  info.snapshot_key = std::move(record.snapshot_key);
  info.extensions = std::move(record.extensions);
  info.runtime_name = std::move(record.runtime_name);
  info.runtime_options = std::move(record.runtime_options);
  info.sandbox_id = std::move(record.sandbox_id);
  info.detached = record.lifetime == metadata::Lifetime::kDetached;
  info.owner_pid = info.detached ? 0 : static_cast<int>(record.owner_process.pid);
  return info;
}

void add_task(const Task& task, ContainerInfo* info) {
  info->status = task_status(task);
  info->pid = live_pid(task);
  if (task.exit) info->exit = exit_status(*task.exit);
}

}  // namespace

ContainerInfo with_status(Core& core, const std::string& ns, const metadata::Container& record,
                          const Wait& wait) {
  ContainerInfo info = describe(record);
  auto task = find_task(core, {ns, record.id, ""}, wait);
  if (!task) return info;
  add_task(*task, &info);
  return info;
}

std::string runtime_of(const metadata::Container& record) {
  return is_other_shim(record.runtime_name) ? record.runtime_name : record.runtime_binary;
}

ContainerInfo describe(const metadata::Container& record) { return info_of(record); }

ContainerInfo get(Core& core, const std::string& ns, const std::string& id, const Wait& wait) {
  auto record = find_record(core, ns, id, wait);
  if (!record) throw no_container(ns, id);
  return with_status(core, ns, *record, wait);
}

std::optional<ContainerInfo> find_running(Core& core, const std::string& ns, const std::string& id,
                                          const Wait& wait) {
  auto task = find_task(core, {ns, id, ""}, wait);
  if (!task) return std::nullopt;
  ContainerInfo info;
  info.id = id;
  info.detached = task->status.detached;
  add_task(*task, &info);
  return info;
}

bool contains(Core& core, const std::string& ns, const std::string& id, const Wait& wait) {
  check_namespace(ns);
  return is_identifier(id) && find_record(core, ns, id, wait).has_value();
}

std::vector<ContainerInfo> list(Core& core, const std::string& ns, const ListOptions& options,
                                const Wait& wait) {
  check_namespace(ns);
  const metadata::Filter filter(options.filters);
  auto wanted = [&](const metadata::Container& record) {
    auto field = [&](const metadata::FieldPath& path) {
      return metadata::find_field(record, path);
    };
    return has_labels(record, options) && filter.matches(field);
  };
  std::vector<metadata::Container> records = core.containers.list(ns, wait, wanted);
  std::set<std::string> bundles = bundle_names(core, ns);
  Abandoned abandoned(core);
  std::vector<ContainerInfo> result;
  result.reserve(std::min(records.size(), options.limit.value_or(records.size())));
  for (auto& record : records) {
    if (options.limit && result.size() >= *options.limit) break;
    if (abandoned(ns, record, wait)) {
      sweep(core, ns, record, wait.at_once());
      continue;
    }
    ContainerInfo info;
    if (bundles.contains(record.id)) {
      info = with_any_status(core, ns, record, wait);
      bool over =
          info.status == TaskStatus::kStopped && record.on_exit == metadata::OnExit::kDelete;
      if (over && is_over(core, ns, record, wait)) continue;
    } else {
      info = info_of(std::move(record));
    }
    if (options.status.empty() || options.status.contains(info.status))
      result.push_back(std::move(info));
  }
  return result;
}

std::string spec(Core& core, const std::string& ns, const std::string& id, const Wait& wait) {
  check_namespace(ns);
  check_identifier("id", id);
  return core.containers.get_full(ns, id, wait).spec;
}

TaskStatus status(Core& core, const std::string& ns, const std::string& id, const Wait& wait) {
  auto task = find_task(core, {ns, id, ""}, wait);
  if (task && !has_expired(*task)) return task_status(*task);
  if (!find_record(core, ns, id, wait)) throw no_container(ns, id);
  return TaskStatus::kNone;
}

}  // namespace ctrd::engine
