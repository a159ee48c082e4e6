// SPDX-License-Identifier: Apache-2.0
// Making checkpoints, and what is stored of them.
#include "engine/checkpoint.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <csignal>

#include "api/event.h"
#include "base/error.h"
#include "base/files.h"
#include "base/identifier.h"
#include "base/process.h"
#include "engine/checkpoint_files.h"
#include "engine/dump.h"
#include "engine/new_checkpoint.h"
#include "engine/restore.h"
#include "engine/verbs.h"
#include "snapshot/copy_tree.h"

namespace ctrd::engine {
namespace {

// Of the others CRIU knows nothing.
void check_empty_namespaces(const std::vector<std::string>& names) {
  for (const std::string& name : names)
    if (name != "network") throw invalid("empty_namespaces", name, "must be network");
}

void check_options(const CheckpointOptions& options) {
  check_empty_namespaces(options.empty_namespaces);
  for (const char* known : {"refuse", "close", "keep"})
    if (options.tcp == known) return;
  throw invalid("tcp", options.tcp, "must be refuse, close or keep");
}

CheckpointInfo to_info(const Core& core, const metadata::Checkpoint& record,
                       const std::string& path) {
  return {.name = record.name,
          .path = path.empty()
                      ? core.root.path + "/" + kCheckpointsDir + "/" + std::to_string(record.number)
                      : path,
          .container_id = record.container_id,
          .image = record.image,
          .runtime = record.runtime,
          .tcp = record.tcp,
          .created_ns = record.created_ns,
          .size = record.size,
          .labels = metadata::labels_of(record)};
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

// Free, or an empty directory that can make way: no mount point.
void check_new_path(const std::string& parent, const std::string& name) {
  UniqueFd dir = open_dir(parent);
  struct statx facts {};
  if (::statx(dir.get(), name.c_str(), AT_SYMLINK_NOFOLLOW, STATX_TYPE, &facts) < 0) {
    if (errno == ENOENT) return;
    throw sys_error("stat " + parent + "/" + name);
  }
  const bool is_dir = S_ISDIR(facts.stx_mode);
  const bool is_mounted = (facts.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
  if (is_dir && !is_mounted && list_dir(open_dir_at(dir.get(), name).get()).empty()) return;
  const char* is = !is_dir      ? ", and no directory"
                   : is_mounted ? ", and mounted"
                                : ", and not empty";
  std::string path = parent + "/" + name;
  throw Error(Code::kAlreadyExists, "checkpoint: " + escaped(path) + " is there" + is,
              Kind::kCheckpoint)
      .with("path", path);
}

// Where one is going to be: parent directory and name.
struct Target {
  std::string parent, name;
  uint64_t number = 0;
};
// It may be used, and is free.
void check_place(Core& core, const std::string& ns, const CheckpointPlace& to, const Wait& wait) {
  if (!to.path.empty()) {
    auto [parent, name] = split(to.path);
    check_new_path(parent, name);
    return;
  }
  if (to.name.empty()) return;
  check_identifier("ref", to.name);
  if (checkpoints(core).find(ns, to.name, wait))
    throw Error(Code::kAlreadyExists, "checkpoint \"" + to.name + "\": there is one already",
                Kind::kCheckpoint);
}

Target choose_target(Core& core, CheckpointPlace* to, const Wait& wait) {
  if (!to->path.empty()) {
    auto [parent, name] = split(to->path);
    return {parent, name};
  }
  if (to->name.empty()) to->name = random_hex(6);
  uint64_t number = checkpoints(core).new_number(wait);
  return {checkpoints_path(core), std::to_string(number), number};
}

// From here on it stands.
CheckpointInfo finish(Core& core, const std::string& ns, NewCheckpoint& made, const Target& target,
                      const std::string& name, metadata::Checkpoint* record,
                      const std::string& spec, const Wait& wait) {
  record->name = name;
  record->number = target.number;
  std::string digest = made.seal(record, spec, wait);
  if (target.number == 0) checkpoints(core).trust(digest, wait);  // never there and not trusted
  made.give_name(target.name);
  if (target.number != 0) checkpoints(core).add(ns, *record, wait);
  made.keep();
  return to_info(core, *record, target.number != 0 ? "" : target.parent + "/" + target.name);
}

void tell(Core& core, const TaskRef& ref, const CheckpointInfo& made) {
  core.events->append_new({api::make_event(ref.ns, api::TaskCheckpointed{ref.id, made.path})});
}

// It is still frozen: nothing of it runs on behind the checkpoint.
void end_frozen(Core& core, const Task& task, std::optional<Held>* held, const Wait& wait) {
  TaskRef same{task.ns, task.id, task.status.instance};
  kill_task(core, same, SIGKILL, {}, true, wait);
  held->reset();
  wait_task(core, same, wait);
}

}  // namespace

void check_checkpoint(Core& core, const std::string& ns, const CheckpointOptions& options,
                      const Wait& wait) {
  check_options(options);
  metadata::check_labels(options.labels);
  check_place(core, ns, options.to, wait);
}

CheckpointInfo checkpoint_task(Engine& engine, const TaskRef& ref, const CheckpointOptions& given,
                               const Wait& wait) {
  Core& core = core_of(engine, wait);
  CheckpointOptions options = given;
  Wait limit = wait.within(core.config.checkpoint_timeout);
  check_checkpoint(core, ref.ns, options, limit);
  Task task = get_task_to_dump(core, ref, limit);
  metadata::Full full = get_as_it_runs(core, task, limit);
  Target target = choose_target(core, &options.to, limit);
  NewCheckpoint made(core, target.parent);
  std::optional<Held> held(std::in_place, task, limit);
  dump_task(core, task, full.record, made, options, &*held, limit);
  if (!options.exit) held.reset();
  metadata::Checkpoint record = describe_dump(core, ref.ns, full.record, options, limit);
  CheckpointInfo info =
      finish(core, ref.ns, made, target, options.to.name, &record, full.spec, limit);
  tell(core, ref, info);
  if (options.exit) end_frozen(core, task, &held, limit);
  return info;
}

CheckpointInfo copy_checkpoint(Engine& engine, const std::string& ns, const CheckpointPlace& from,
                               const CheckpointPlace& to, const Wait& wait) {
  Core& core = core_of(engine, wait);
  check_place(core, ns, to, wait);
  Source source = open_source(core, ns, {.from = from, .allow_other_kernel = true}, wait);
  CheckpointPlace place = to;
  Target target = choose_target(core, &place, wait);
  NewCheckpoint made(core, target.parent);
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
  if (gone) remove_checkpoint_dir(core, gone->number, wait);
  empty_trash(core, left);
  return gone.has_value();
}

}  // namespace ctrd::engine
