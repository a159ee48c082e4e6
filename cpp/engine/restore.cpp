// SPDX-License-Identifier: Apache-2.0
// Containers and tasks made of checkpoints. What a checkpoint says of rights is taken only from one
// that this root has made: its directory is here, or its manifest's digest is recorded here. Of a
// foreign one nothing but images and layer is used, in a container that the caller has made, and
// only if asked for: the images carry credentials, which CRIU puts back as they are.
#include "engine/restore.h"

#include <sys/utsname.h>

#include "base/error.h"
#include "base/files.h"
#include "base/identifier.h"
#include "base/process.h"
#include "engine/checkpoint_files.h"
#include "engine/doctor_criu.h"
#include "engine/dump.h"
#include "engine/host.h"
#include "engine/snapshot_mount.h"
#include "engine/task_layer.h"
#include "engine/verbs.h"
#include "oci/rename.h"
#include "oci/spec.h"

namespace ctrd::engine {
namespace {

Error foreign(const std::string& path, const char* why = "was not made by this root") {
  return Error(Code::kPermissionDenied,
               "checkpoint " + escaped(path) + ' ' + why +
                   ": restoring it runs what it says, as who it says",
               Kind::kNone)
      .with("path", path)
      .with("hint", "allow_untrusted=True, with create_task() of a container of your own");
}

// CRIU can often do it, but what a process has mapped and asked of another kernel is then a guess.
void check_machine(const metadata::Checkpoint& record, bool allow_other_kernel) {
  utsname host{};
  ::uname(&host);
  if (record.machine != host.machine)
    throw failed_precondition(
        "checkpoint: it was made on " + escaped(record.machine, 32) + ", this is " + host.machine,
        Kind::kCheckpoint);
  if (record.kernel != host.release && !allow_other_kernel)
    throw failed_precondition("checkpoint: it was made by kernel " + escaped(record.kernel, 64) +
                                  ", this is " + host.release,
                              Kind::kCheckpoint)
        .with("hint", "allow_other_kernel=True tries it");
}

}  // namespace

Source open_source(Core& core, const std::string& ns, const RestoreOptions& options,
                   const Wait& wait) {
  Source source;
  if (options.from.path.empty()) {
    metadata::Checkpoint record = checkpoints(core).get(ns, options.from.name, wait);
    source.sealed = open_checkpoint(checkpoints_path(core) + "/" + std::to_string(record.number));
    source.in_use = use_checkpoint(source.sealed, wait);
    source.is_ours = true;
  } else {
    source.sealed = open_checkpoint(options.from.path);
    bool stored = is_stored(core, source.sealed, wait);
    if (stored) source.in_use = use_checkpoint(source.sealed, wait);
    bool known = stored || checkpoints(core).is_trusted(source.sealed.digest, wait);
    source.is_ours = stored || (known && is_private(source.sealed));
    if (known && !source.is_ours && !options.allow_untrusted)
      throw foreign(source.sealed.path,
                    "may have been changed by others: its directories are not ours alone");
  }
  if (!source.is_ours && !options.allow_untrusted) throw foreign(source.sealed.path);
  check_machine(source.sealed.record, options.allow_other_kernel);
  check_parts(source.sealed, wait);
  return source;
}

namespace {

// "close" needs no connection to be there; "keep" that it was kept.
std::string chosen_tcp(const metadata::Checkpoint& record, const RestoreOptions& options) {
  std::string tcp = options.tcp.empty() ? record.tcp : options.tcp;
  if (!options.tcp.empty() && tcp != "close" && tcp != "keep")
    throw invalid("tcp", tcp, "must be close or keep");
  return tcp;
}

Ground ground_of(const metadata::Checkpoint& record) {
  return {record.snapshotter, record.base, record.rootfs};
}

std::string shown(const Ground& ground) {
  std::string upon = ground.base.empty() ? ground.rootfs : "snapshot \"" + ground.base + '"';
  return (upon.empty() ? "nothing" : escaped(upon)) + " (" + ground.snapshotter + ')';
}

Restoration restoration(Core& core, const Source& source, const RestoreOptions& options,
                        const Wait& wait) {
  std::string tcp = chosen_tcp(source.sealed.record, options);
  return {.images = source.sealed.path + "/" + kImagesDir,
          .layer = source.sealed.path + "/" + kLayerDir,
          .close_tcp = tcp == "close",
          .skip_network_lock = skips_network_lock(core, tcp, wait),
          .empty_namespaces = source.sealed.record.empty_namespaces,
          .is_ours = source.is_ours,
          .ground = ground_of(source.sealed.record)};
}

std::string new_spec(Core& core, const std::string& ns, const std::string& id,
                     const metadata::Checkpoint& from, const std::string& spec,
                     const RestoreOptions& options) {
  return oci::renamed_spec(spec, {.old_id = from.container_id,
                                  .id = id,
                                  .cgroups_path = oci::cgroups_path(core.root.hash6, ns, id),
                                  .hostname = options.hostname});
}

}  // namespace

void check_ground(Core& core, const std::string& ns, const metadata::Container& record,
                  const Restoration& from, const Wait& wait) {
  if (!from.ground) return;
  metadata::Snapshot layer = own_layer(core, ns, record, wait);
  Ground mine{record.snapshotter, layer.parent, layer.bottom}, theirs = *from.ground;
  if (!from.is_ours) {  // its names mean nothing here
    theirs.base = mine.base;
    theirs.rootfs = mine.rootfs;
  }
  if (mine == theirs) return;
  throw failed_precondition("container \"" + record.id + "\" stands upon " + shown(mine) +
                                ", the checkpoint's layer upon " + shown(theirs),
                            Kind::kCheckpoint);
}

namespace {

// What can be known before the container in its place goes.
void check_can_restore(Core& core, const std::string& ns, const metadata::Checkpoint& from,
                       const RestoreOptions& options, const Wait& wait) {
  if (!from.base.empty()) open_base(core, ns, from.snapshotter, from.base, wait);
  if (!from.rootfs.empty()) open_dir(from.rootfs);
  need_criu(core,
            resolve_runtime(core, options.runtime.empty() ? from.runtime : options.runtime, wait),
            wait);
}

}  // namespace

Draft draft_restored(Core& core, const std::string& ns, const metadata::Checkpoint& from,
                     const std::string& spec, const RestoreOptions& options, const Wait& wait) {
  std::string id = options.id.empty() ? random_hex(6) : options.id;
  check_identifier("id", id);
  Draft draft;
  draft.record.id = id;
  draft.record.image = from.image;
  draft.record.rootfs = from.rootfs;
  draft.record.labels = options.labels.value_or(from.container_labels);
  metadata::check_labels(draft.record.labels);
  draft.record.lifetime =
      options.detached ? metadata::Lifetime::kDetached : metadata::Lifetime::kOwner;
  if (options.delete_on_exit) draft.record.on_exit = metadata::OnExit::kDelete;
  draft.record.runtime_name = std::string(kOurShim);
  draft.record.runtime_binary =
      options.runtime.empty() ? from.runtime : resolve_runtime(core, options.runtime, wait);
  draft.record.extensions = from.extensions;
  draft.record.runtime_options = from.runtime_options;
  draft.record.sandbox_id = from.sandbox_id;
  draft.record.snapshotter = from.snapshotter;
  draft.base = from.base;
  draft.spec = new_spec(core, ns, id, from, spec, options);
  draft.record.annotations = oci::annotations_of(draft.spec);
  return draft;
}

ContainerInfo restore_container(Engine& engine, const std::string& ns,
                                const RestoreOptions& options, const Wait& wait) {
  Core& core = core_of(engine, wait);
  check_namespace(ns);
  Source source = open_source(core, ns, options, wait);
  if (!source.is_ours) throw foreign(source.sealed.path);
  chosen_tcp(source.sealed.record, options);
  if (options.replace) check_can_restore(core, ns, source.sealed.record, options, wait);
  Draft draft = draft_restored(core, ns, source.sealed.record, source.sealed.spec, options, wait);
  make_way(core, ns, draft.record.id, options.replace, wait);
  return describe(write_record(core, ns, draft, options.replace, wait));
}

NewTask create_restored_task(Engine& engine, const TaskRef& ref, const Stdio& stdio,
                             const RestoreOptions& options, const Wait& wait) {
  Core& core = core_of(engine, wait);
  Source source = open_source(core, ref.ns, options, wait);
  Restoration from = restoration(core, source, options, wait);
  return create_task_from(core, ref, stdio, false, &from, wait);
}

}  // namespace ctrd::engine
