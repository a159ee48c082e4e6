// SPDX-License-Identifier: Apache-2.0
// containers.create: everything that can be refused is refused before the one batch that makes the
// record. One with replace=True that is refused has replaced nothing.
#include <sys/stat.h>

#include "base/error.h"
#include "base/files.h"
#include "base/identifier.h"
#include "base/process.h"
#include "engine/exits.h"
#include "engine/host.h"
#include "engine/other_shim.h"
#include "engine/remove.h"
#include "engine/runtime_options.h"
#include "engine/settle.h"
#include "engine/snapshot_mount.h"
#include "engine/snapshots.h"
#include "engine/task_layer.h"
#include "engine/verbs.h"
#include "metadata/replace.h"
#include "oci/spec.h"

namespace ctrd::engine {
namespace {

UniqueFd open_rootfs(const std::string& given, std::string* path) {
  if (given.empty()) throw invalid("rootfs", given, "must name a directory");
  try {
    *path = real_path(given);
    return open_dir(*path);
  } catch (const Error& error) {
    if (error.sys_errno() == 0) throw;
    if (error.sys_errno() == ENOTDIR) throw invalid("rootfs", given, "must be a directory");
    throw Error(error.code(), "rootfs: " + error.message(), error.kind(), error.sys_errno())
        .with("field", "rootfs")
        .with("value", given);
  }
}

// What was chosen for a container: by the call, else by the engine, else by its namespace.
struct Choices {
  std::string runtime, snapshotter;
};
Choices choices_of(Core& core, const std::string& ns, const CreateOptions& options,
                   const Wait& wait) {
  auto first = [](const std::string& call, const std::string& engine) {
    return !call.empty() ? call : engine != "auto" ? engine : "";
  };
  Choices choices{first(options.runtime, core.config.runtime),
                  first(options.snapshotter, core.config.snapshotter)};
  if (!choices.runtime.empty() && !choices.snapshotter.empty()) return choices;
  metadata::Labels labels = core.namespaces.labels(ns, wait);
  if (choices.runtime.empty()) choices.runtime = labels[metadata::kDefaultRuntimeLabel];
  if (choices.snapshotter.empty()) choices.snapshotter = labels[metadata::kDefaultSnapshotterLabel];
  return choices;
}

metadata::Container new_record(const std::string& id, const CreateOptions& options) {
  metadata::Container record;
  record.id = id;
  record.labels = options.labels;
  record.extensions = options.extensions;
  record.runtime_options = options.runtime_options;
  record.sandbox_id = options.sandbox_id;
  record.lifetime = options.detached ? metadata::Lifetime::kDetached : metadata::Lifetime::kOwner;
  if (options.delete_on_exit) record.on_exit = metadata::OnExit::kDelete;
  return record;
}

// The files that a spec is made upon: users are looked up there. Of a snapshot nothing is mounted
// for a spec that asks for none.
BaseView open_bottom(Core& core, const std::string& ns, const CreateOptions& options,
                     metadata::Container* record, const Wait& wait) {
  BaseView view;
  if (options.snapshot.empty()) {
    view.dir = open_rootfs(options.rootfs, &record->rootfs);
    return view;
  }
  if (!options.rootfs.empty())
    throw invalid("rootfs", options.rootfs, "cannot be given beside a snapshot");
  if (!options.spec.user.empty())
    view = open_base(core, ns, record->snapshotter, options.snapshot, wait);
  if (!view.dir) view.dir = open_dir_at(core.root.snapshots.get(), ".");
  return view;
}

// Another shim is found, and asked nothing that it lacks.
std::string chosen_shim(const std::string& runtime, const CreateOptions& options) {
  if (!is_other_shim(runtime)) return std::string(kOurShim);
  find_other_shim(runtime);
  check_supported(runtime, {.deletion = options.delete_on_exit});
  return runtime;
}

// A bundle without a record is what a crash has left: a new container of that id must not inherit
// it.
void clear_bundle(Core& core, const std::string& ns, const std::string& id, const Wait& wait) {
  auto parent = find_dir_at(core.root.state.get(), ns);
  if (!parent || !exists_at(parent->get(), id)) return;
  if (core.containers.find(ns, id, wait)) return;  // then the batch will say so
  std::optional<Claim> claim;
  Claimed claimed = claim_bundle(core, ns, id, wait.within(std::chrono::seconds(10)), &claim);
  if (claimed == Claimed::kHeld)
    throw Error(Code::kAborted, "container \"" + id + "\" is just being removed: try again");
  if (claimed == Claimed::kAbsent) return;
  settle_claimed(*claim);
  discard(core, std::move(*claim));
}

Error taken(const std::string& ns, const std::string& id) {
  return Error(Code::kAlreadyExists,
               "container \"" + id + "\": there is one already in namespace " + ns,
               Kind::kContainer)
      .with("id", id);
}

bool is_foreign(Core& core, const metadata::Container& there) {
  return there.lifetime == metadata::Lifetime::kOwner && !core.owner->is_ours(there.owner);
}

void need_ours(Core& core, const metadata::Container& there) {
  if (!is_foreign(core, there)) return;
  throw Error(Code::kAborted,
              "container \"" + there.id + "\" belongs to another live process (" +
                  std::to_string(there.owner_process.pid) + ")",
              Kind::kContainer)
      .with("id", there.id);
}

// What goes by itself. False: it is there still.
bool sweep_record(Core& core, const std::string& ns, const metadata::Container& there,
                  const Wait& wait) {
  Wait limit = wait.within(std::chrono::seconds(10));
  if (is_abandoned(core, ns, there, wait)) {
    sweep_by_force(core, ns, there, limit);
  } else if (auto task = find_task(core, {ns, there.id, ""}, wait); task && has_expired(*task)) {
    sweep_expired(core, ns, there.id, limit);
  }
  return !core.containers.find(ns, there.id, wait);
}

// The old record goes and the new one comes in one batch, once the old task has ended: what that
// had and the new one uses is never nobody's.
metadata::Container replace_record(Core& core, const std::string& ns,
                                   const metadata::Container& record, const Draft& draft,
                                   const Wait& wait) {
  metadata::check_replace(*core.containers.ledger(), ns, record, draft.spec, wait, draft.base);
  const auto may = [&](const metadata::Container& now) { return !is_foreign(core, now); };
  metadata::Created created;
  end_and(core, ns, record.id, true, wait, [&]() -> std::optional<metadata::Removed> {
    created = core.containers.create(ns, record, draft.spec, wait, may, draft.base);
    core.made_containers.remember(ns, record.id, created.record.created_ns);
    if (!created.replaced) return std::nullopt;
    return metadata::Removed{*created.replaced, created.trash};
  });
  forget_exit(core, ns, record.id);
  return created.record;
}

}  // namespace

Draft draft_container(Core& core, const std::string& ns, const CreateOptions& options,
                      const Wait& wait) {
  check_namespace(ns);
  std::string id = options.id.empty() ? random_hex(6) : options.id;
  check_identifier("id", id);
  metadata::check_labels(options.labels);
  if (!options.sandbox_id.empty()) check_identifier("sandbox_id", options.sandbox_id);
  Draft draft{new_record(id, options), {}, options.snapshot};
  need_io_weight(options.spec.resources);
  Choices choices = choices_of(core, ns, options, wait);
  draft.record.snapshotter = resolve_snapshotter(core, choices.snapshotter, wait);
  BaseView bottom = open_bottom(core, ns, options, &draft.record, wait);
  need_shim(core);
  draft.record.runtime_name = chosen_shim(choices.runtime, options);
  check_runtime_options(draft.record.runtime_name, options.runtime_options);
  std::string binary = named_binary(options.runtime_options);
  draft.record.runtime_binary =
      resolve_runtime(core, binary.empty() ? choices.runtime : binary, wait);
  if (draft.record.snapshotter == metadata::kOverlay) need_overlay(core, wait);
  draft.spec = oci::make_spec(options.spec, id, oci::cgroups_path(core.root.hash6, ns, id),
                              bottom.dir.get());
  draft.record.annotations = oci::annotations_of(draft.spec);
  return draft;
}

metadata::Container write_record(Core& core, const std::string& ns, const Draft& draft,
                                 bool replace, const Wait& wait) {
  metadata::Container record = draft.record;
  if (record.lifetime == metadata::Lifetime::kOwner) {
    record.owner = core.owner->number(core.root, core.containers, wait);
    record.owner_process = this_process();
  }
  auto old = replace ? core.containers.find(ns, record.id, wait) : std::nullopt;
  if (old && !sweep_record(core, ns, *old, wait)) {
    need_ours(core, *old);
    return replace_record(core, ns, record, draft, wait);
  }
  for (int attempt = 0;; ++attempt) {
    try {
      auto created = core.containers.create(ns, record, draft.spec, wait, {}, draft.base);
      core.made_containers.remember(ns, record.id, created.record.created_ns);
      forget_exit(core, ns, record.id);
      return created.record;
    } catch (const Error& error) {
      if (error.code() != Code::kAlreadyExists || attempt > 0) throw;
      auto there = core.containers.find(ns, record.id, wait);
      if (there && !sweep_record(core, ns, *there, wait)) throw;
    }
  }
}

void make_way(Core& core, const std::string& ns, const std::string& id, bool replace,
              const Wait& wait) {
  if (auto there = core.containers.find(ns, id, wait)) {
    const bool is_left = !sweep_record(core, ns, *there, wait);
    if (is_left && !replace) throw taken(ns, id);
    if (is_left) return need_ours(core, *there);
  }
  clear_bundle(core, ns, id, wait);
}

ContainerInfo create(Core& core, const std::string& ns, const CreateOptions& options,
                     const Wait& wait) {
  Draft draft = draft_container(core, ns, options, wait);
  clear_bundle(core, ns, draft.record.id, wait);
  return describe(write_record(core, ns, draft, options.replace, wait));
}

}  // namespace ctrd::engine
