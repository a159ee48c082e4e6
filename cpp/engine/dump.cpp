// SPDX-License-Identifier: Apache-2.0
#include "engine/dump.h"

#include <sys/utsname.h>

#include "api/checkpoint.h"
#include "base/cgroup.h"
#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "engine/criu_logs.h"
#include "engine/doctor_criu.h"
#include "engine/launch.h"
#include "engine/other_shim.h"
#include "engine/other_task.h"
#include "engine/rpc.h"
#include "engine/task_layer.h"
#include "snapshot/copy_tree.h"

namespace ctrd::engine {
namespace {

constexpr Nanos kThaw = std::chrono::seconds(2);

api::CheckpointOptions shim_options(const CheckpointOptions& options) {
  return {.exit = false,
          .open_tcp = options.tcp == "keep",
          .external_unix_sockets = options.unix_sockets,
          .terminal = options.terminal,
          .file_locks = options.file_locks,
          .empty_namespaces = options.empty_namespaces};
}

void copy_layer(const Core& core, uint64_t number, int to, const Wait& wait) {
  auto from = find_dir_at(core.root.snapshots.get(), std::to_string(number) + "/fs");
  if (from) snapshot::copy_layer(from->get(), to, wait);
}

}  // namespace

Held::Held(const Task& task, const Wait& wait) : task_(task), was_frozen_(is_frozen()) {
  ttrpc::Call call = begin_call(task.dir.get(), api::kShimV1, "Hold",
                                api::encode(api::HoldRequest{task.id}), wait);
  call.finish(wait);
  socket_ = call.take_socket();
}

Held::~Held() {
  socket_.reset();
  try {
    await_thaw();
  } catch (const std::exception& error) {
    log(Level::kWarning, std::string("task ") + task_.id + ": " + error.what());
  }
}

// On the connection that it is held for.
void Held::dump(const std::string& images, std::string options, const Wait& wait) {
  api::CheckpointTaskRequest request{
      task_.id, images, {std::string(api::kCheckpointOptionsType), std::move(options)}};
  ttrpc::Request call{std::string(api::kTaskV2), "Checkpoint", api::encode(request), 0, {}};
  ttrpc::Call dumped(std::move(socket_), call, wait, 3);
  dumped.finish(wait);
  socket_ = dumped.take_socket();
}

void Held::check_frozen() const {
  if (!is_frozen())
    throw failed_precondition("container \"" + task_.id + "\" was killed while it was checkpointed",
                              Kind::kTask);
}

bool Held::is_frozen() const { return cgroup_frozen(task_.status.cgroups_path); }

// Whoever asks next shall see it running again.
void Held::await_thaw() const {
  const Wait soon = cleanup_wait(kThaw);
  while (!was_frozen_ && is_frozen() && !soon.expired())
    poll_until({}, soon.within(std::chrono::milliseconds(1)));
}

Task get_task_to_dump(Core& core, const TaskRef& ref, const Wait& wait) {
  Task task = get_live_task(core, ref, wait);
  if (is_other(task)) check_other(task.status.other_shim, {.checkpoint = true});
  return task;
}

metadata::Full get_as_it_runs(Core& core, const Task& task, const Wait& wait) {
  metadata::Full full = core.containers.get_full(task.ns, task.id, wait);
  if (auto spec = find_file_at(task.dir.get(), kSpecFile, kMaxConfig)) full.spec = std::move(*spec);
  return full;
}

bool skips_network_lock(Core& core, const std::string& tcp, const Wait& wait) {
  return tcp != "keep" && criu_version(core, wait) >= kCriuSkipsNetworkLock;
}

void dump_task(Core& core, const Task& task, const metadata::Container& record, NewCheckpoint& made,
               const CheckpointOptions& options, Held* held, const Wait& wait) {
  api::CriuOptions more{.close_tcp = options.tcp == "close",
                        .skip_network_lock = skips_network_lock(core, options.tcp, wait)};
  try {
    held->dump(made.images(), api::encode(shim_options(options)) + api::encode(more), wait);
  } catch (const Error& error) {
    throw with_kept_log(core, task, error);
  }
  UniqueFd layer = open_dir_at(made.dir(), kLayerDir);
  copy_layer(core, record.snapshot_number, layer.get(), wait);
  held->check_frozen();
}

metadata::Checkpoint describe_dump(Core& core, const std::string& ns, const metadata::Container& of,
                                   const CheckpointOptions& options, const Wait& wait) {
  utsname host{};
  ::uname(&host);
  metadata::Snapshot layer = own_layer(core, ns, of, wait);
  metadata::Checkpoint record;
  record.container_id = of.id;
  record.image = of.image;
  record.rootfs = layer.bottom;
  record.snapshotter = of.snapshotter;
  record.base = layer.parent;
  record.runtime = of.runtime_binary;
  record.tcp = options.tcp;
  record.created_ns = wall_ns();
  record.labels = options.labels;
  record.empty_namespaces = options.empty_namespaces;
  record.extensions = of.extensions;
  record.runtime_options = of.runtime_options;
  record.sandbox_id = of.sandbox_id;
  record.container_labels = of.labels;
  record.kernel = host.release;
  record.machine = host.machine;
  return record;
}

}  // namespace ctrd::engine
