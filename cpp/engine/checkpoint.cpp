// SPDX-License-Identifier: Apache-2.0
// Making checkpoints: the task is held frozen by its shim for as long as our connection lasts, so
// that memory and layer are of one moment, and nothing stays frozen if this process dies.
#include "engine/checkpoint.h"

#include <sys/utsname.h>

#include <csignal>

#include "api/checkpoint.h"
#include "base/error.h"
#include "base/files.h"
#include "base/identifier.h"
#include "base/process.h"
#include "engine/checkpoint_files.h"
#include "engine/criu_logs.h"
#include "engine/restore.h"
#include "engine/rpc.h"
#include "engine/verbs.h"
#include "snapshot/copy_tree.h"

namespace ctrd::engine {
namespace {

void check_place(const CheckpointPlace& to) {
  if (!to.name.empty()) check_identifier("ref", to.name);
}

void check_options(const CheckpointOptions& options) {
  check_place(options.to);
  for (const char* known : {"refuse", "close", "keep"})
    if (options.tcp == known) return;
  throw invalid("tcp", options.tcp, "must be refuse, close or keep");
}

// Frozen from the answer of dump() on until its end.
class Held {
 public:
  Held(const Task& task, const Wait& wait)
      : call_(begin_call(task.dir.get(), api::kShimV1, "Hold",
                         api::encode(api::HoldRequest{task.id}),
                         Wait{.deadline = kForever, .interrupted = wait.interrupted})) {}

  // On the same connection, so it comes after the hold.
  void dump(const Task& task, const std::string& images, const api::CheckpointOptions& options,
            const Wait& wait) {
    api::CheckpointTaskRequest request{
        task.id, images, {std::string(api::kCheckpointOptionsType), api::encode(options)}};
    ttrpc::Request call{std::string(api::kTaskV2), "Checkpoint", api::encode(request), 0, {}};
    ttrpc::Call dumped(call_.take_socket(), call, wait, 3);
    dumped.finish(wait);
    socket_ = dumped.take_socket();
  }

 private:
  ttrpc::Call call_;
  UniqueFd socket_;
};

api::CheckpointOptions shim_options(const CheckpointOptions& options) {
  // Never exit: the task ends only once the checkpoint stands.
  return {.exit = false,
          .open_tcp = options.tcp != "refuse",
          .external_unix_sockets = options.unix_sockets,
          .terminal = options.terminal,
          .file_locks = options.file_locks,
          .empty_namespaces = options.empty_namespaces};
}

void copy_layer(const Core& core, uint64_t number, int to, const Wait& wait) {
  auto from = find_dir_at(core.root.snapshots.get(), std::to_string(number) + "/fs");
  if (from) snapshot::copy_layer(from->get(), to, wait);
}

metadata::Checkpoint describe(const metadata::Container& of, const CheckpointOptions& options) {
  utsname host{};
  ::uname(&host);
  metadata::Checkpoint record;
  record.container_id = of.id;
  record.image = of.image;
  record.rootfs = of.rootfs;
  record.runtime = of.runtime_binary;
  record.tcp = options.tcp;
  record.created_ns = wall_ns();
  record.labels = options.labels;
  record.container_labels = of.labels;
  record.kernel = host.release;
  record.machine = host.machine;
  return record;
}

CheckpointInfo to_info(const Core& core, const metadata::Checkpoint& record,
                       const std::string& path) {
  return {.name = record.name,
          .path = path.empty() ? core.root.path + "/checkpoints/" + std::to_string(record.number)
                               : path,
          .container_id = record.container_id,
          .image = record.image,
          .runtime = record.runtime,
          .tcp = record.tcp,
          .created_ns = record.created_ns,
          .size = record.size,
          .labels = record.labels};
}

// The directory that a user's path is in, and its name there.
std::pair<std::string, std::string> split(const std::string& path) {
  std::string whole = path;
  while (whole.size() > 1 && whole.back() == '/') whole.pop_back();
  std::size_t slash = whole.rfind('/');
  std::string name = whole.substr(slash + 1);
  if (slash == whole.npos || name.empty() || name == "." || name == "..")
    throw invalid("path", path, "not an absolute path of a directory");
  std::string parent = real_path(slash == 0 ? "/" : whole.substr(0, slash));
  return {parent, name};
}

void check_new_path(const std::string& parent, const std::string& name) {
  UniqueFd dir = open_dir(parent);
  if (!exists_at(dir.get(), name)) return;
  auto there = find_dir_at(dir.get(), name);
  if (there && list_dir(there->get()).empty()) return;
  std::string path = parent + "/" + name;
  throw Error(Code::kAlreadyExists, "checkpoint: " + escaped(path) + " is there, and not empty",
              Kind::kCheckpoint)
      .with("path", path);
}

// Where one is going to be: parent directory and name.
struct Target {
  std::string parent, name;
  uint64_t number = 0;
};
Target choose_target(Core& core, const std::string& ns, CheckpointPlace* to, const Wait& wait) {
  if (!to->path.empty()) {
    auto [parent, name] = split(to->path);
    check_new_path(parent, name);
    return {parent, name};
  }
  if (to->name.empty()) to->name = random_hex(6);
  if (checkpoints(core).find(ns, to->name, wait))
    throw Error(Code::kAlreadyExists, "checkpoint \"" + to->name + "\": there is one already",
                Kind::kCheckpoint);
  uint64_t number = checkpoints(core).new_number(wait);
  return {checkpoints_path(core), std::to_string(number), number};
}

void dump(Core& core, const Task& task, const metadata::Container& record, NewCheckpoint& made,
          const CheckpointOptions& options, Held& held, const Wait& wait) {
  try {
    held.dump(task, made.images(), shim_options(options), wait);
  } catch (const Error& error) {
    throw with_kept_log(core, task, error);
  }
  UniqueFd layer = open_dir_at(made.dir(), kLayerDir);
  copy_layer(core, record.snapshot_number, layer.get(), wait);
}

// From here on it stands.
CheckpointInfo finish(Core& core, const std::string& ns, NewCheckpoint& made, const Target& target,
                      const std::string& name, metadata::Checkpoint* record,
                      const std::string& spec, const Wait& wait) {
  record->name = name;
  record->number = target.number;
  std::string digest = made.seal(record, spec, target.name);
  if (target.number != 0)
    checkpoints(core).add(ns, *record, wait);
  else
    checkpoints(core).trust(digest, wait);
  made.keep();
  return to_info(core, *record, target.number != 0 ? "" : target.parent + "/" + target.name);
}

// It is still frozen: nothing of it runs on behind the checkpoint.
void end_frozen(Core& core, const Task& task, std::optional<Held>* held, const Wait& wait) {
  TaskRef same{task.ns, task.id, task.status.instance};
  kill_task(core, same, SIGKILL, {}, true, wait);
  held->reset();
  wait_task(core, same, wait);
}

}  // namespace

CheckpointInfo checkpoint_task(Engine& engine, const TaskRef& ref, const CheckpointOptions& given,
                               const Wait& wait) {
  Core& core = core_of(engine, wait);
  CheckpointOptions options = given;
  check_options(options);
  metadata::check_labels(options.labels);
  Wait limit = wait.within(core.config.checkpoint_timeout);
  Task task = get_live_task(core, ref, limit);
  if (!task.status.other_shim.empty())
    throw Error(Code::kUnimplemented, "container \"" + ref.id + "\": its shim makes no checkpoints",
                Kind::kCheckpoint)
        .with("hint", "use runtime=\"runc\"");
  metadata::Full full = core.containers.get_full(ref.ns, ref.id, limit);
  Target target = choose_target(core, ref.ns, &options.to, limit);
  NewCheckpoint made(target.parent);
  std::optional<Held> held(std::in_place, task, limit);
  dump(core, task, full.record, made, options, *held, limit);
  if (!options.exit) held.reset();
  metadata::Checkpoint record = describe(full.record, options);
  CheckpointInfo info =
      finish(core, ref.ns, made, target, options.to.name, &record, full.spec, limit);
  if (options.exit) end_frozen(core, task, &held, limit);
  return info;
}

CheckpointInfo copy_checkpoint(Engine& engine, const std::string& ns, const CheckpointPlace& from,
                               const CheckpointPlace& to, const Wait& wait) {
  Core& core = core_of(engine, wait);
  check_place(to);
  Source source = open_source(core, ns, {.from = from, .allow_other_kernel = true}, wait);
  CheckpointPlace place = to;
  Target target = choose_target(core, ns, &place, wait);
  NewCheckpoint made(target.parent);
  for (const char* part : {kImagesDir, kLayerDir})
    snapshot::copy_layer(open_part(source.sealed, part).get(), open_dir_at(made.dir(), part).get(),
                         wait);
  metadata::Checkpoint record = source.sealed.record;
  return finish(core, ns, made, target, place.name, &record, source.sealed.spec, wait);
}

CheckpointInfo get_checkpoint(Engine& engine, const std::string& ns, const CheckpointPlace& place,
                              const Wait& wait) {
  Core& core = core_of(engine, wait);
  if (place.path.empty()) return to_info(core, checkpoints(core).get(ns, place.name, wait), "");
  return to_info(core, open_checkpoint(place.path).record, place.path);
}

std::vector<CheckpointInfo> list_checkpoints(Engine& engine, const std::string& ns,
                                             const std::vector<std::string>& filters,
                                             const Wait& wait) {
  const metadata::Filter filter(filters);
  Core& core = core_of(engine, wait);
  std::vector<CheckpointInfo> all;
  for (const metadata::Checkpoint& record : checkpoints(core).list(ns, filter, wait))
    all.push_back(to_info(core, record, ""));
  return all;
}

bool delete_checkpoint(Engine& engine, const std::string& ns, const std::string& name,
                       bool missing_ok, const Wait& wait) {
  Core& core = core_of(engine, wait);
  metadata::Removed left;
  auto gone = checkpoints(core).remove(ns, name, wait, &left.trash);
  if (!gone && !missing_ok) checkpoints(core).get(ns, name, wait);  // says so
  if (gone) remove_checkpoint_dir(core, gone->number);
  empty_trash(core, left);
  return gone.has_value();
}

}  // namespace ctrd::engine
