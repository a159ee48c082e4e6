// SPDX-License-Identifier: Apache-2.0
// Changing a record, and with new limits its task: first what runs, for it may refuse; then the
// record. Whatever fails, both are as before.
#include "oci/update.h"

#include <algorithm>
#include <charconv>

#include "base/cgroup.h"
#include "base/cgroup_limits.h"
#include "base/error.h"
#include "base/identifier.h"
#include "engine/rpc.h"
#include "engine/task.h"
#include "engine/verbs.h"
#include "oci/spec.h"

namespace ctrd::engine {
namespace {

constexpr const char* kResourcesType =
    "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources";

// A task whose limits are being changed.
class Limits {
 public:
  Limits(Core& core, Task task, oci::ResourceUpdate update)
      : core_(core),
        task_(std::move(task)),
        update_(std::move(update)),
        saved_(task_.status.cgroups_path) {}

  void apply(const oci::ResourceOptions& resources, const Wait& wait) {
    if (resources.memory_bytes) check_memory(*resources.memory_bytes);
    try {
      if (update_.resources != "{}") tell_runtime(wait);
      write(update_.controls);
    } catch (...) {
      undo();
      throw;
    }
  }
  void undo() noexcept {
    try {
      write(update_.undo);
    } catch (const Error&) {  // the runtime's own part is put back all the same
    }
    saved_.restore();
  }

 private:
  // v1's kernel refuses a limit below what cannot be reclaimed; v2's takes it, and kills.
  void check_memory(int64_t limit) const {
    for (const UniqueFd& dir : open_cgroup(task_.status.cgroups_path)) {
      auto stats = read_control(dir.get(), "memory.current");
      if (stats.empty() || limit == -1) continue;
      int64_t used = number(stats) - file_bytes(read_control(dir.get(), "memory.stat"));
      if (used <= limit) continue;
      throw failed_precondition("memory: the container uses " + std::to_string(used) +
                                " bytes, which cannot be limited to " + std::to_string(limit))
          .with("field", "memory");
    }
  }
  static int64_t number(std::string_view text) {
    int64_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
  }
  static int64_t file_bytes(const std::string& stat) {
    auto at = stat.find("\nfile ");
    return at == std::string::npos ? 0 : number(std::string_view(stat).substr(at + 6));
  }

  void tell_runtime(const Wait& wait) {
    api::UpdateTaskRequest request{task_.id, {kResourcesType, update_.resources}, {}};
    ask<api::Empty>(core_, task_, "Update", request, wait.within(core_.config.rpc_timeout));
  }
  void write(const std::vector<oci::Control>& controls) const {
    for (const auto& control : controls) {
      try {
        write_limit(task_.status.cgroups_path, control.file, control.value);
      } catch (Error& error) {
        error.with("field", control.field);
        throw;
      }
    }
  }

  Core& core_;
  Task task_;
  oci::ResourceUpdate update_;
  SavedLimits saved_;
};

// Of a task that lives; a stopped one gets its limits with the next start.
std::unique_ptr<Limits> limit_task(Core& core, const std::string& ns, const std::string& id,
                                   const oci::ResourceOptions& resources, const Wait& wait) {
  need_io_weight(resources);
  std::string spec = core.containers.get_full(ns, id, wait).spec;
  oci::update_resources(spec, resources);  // refused before anything is done
  auto task = find_task(core, {ns, id, ""}, wait);
  if (!task || task->exit) return nullptr;
  auto update = oci::update_resources(spec, resources, read_config(*task));
  auto limits = std::make_unique<Limits>(core, std::move(*task), std::move(update));
  limits->apply(resources, wait);
  return limits;
}

bool names(const RecordChange& wanted, std::string_view field) {
  return !wanted.fields || wanted.fields->empty() ||
         std::find(wanted.fields->begin(), wanted.fields->end(), field) != wanted.fields->end();
}

// A task has its layer mounted, whatever the record says.
void need_no_task(Core& core, const std::string& ns, const std::string& id, const Wait& wait) {
  auto task = find_task(core, {ns, id, ""}, wait);
  if (task && !task->exit)
    throw failed_precondition("container \"" + id + "\": its task has its snapshot", Kind::kTask);
}

// None can be made while this lives: it has the claim of the bundle that is there, or of an empty
// one.
class NoTask {
 public:
  NoTask(Core& core, const std::string& ns, const std::string& id, const Wait& wait) : core_(core) {
    for (;;) {
      need_no_task(core, ns, id, wait);
      Claimed claimed =
          claim_bundle(core, ns, id, wait.within(std::chrono::milliseconds(500)), &claim_);
      if (claimed == Claimed::kTaken) return;
      if (claimed == Claimed::kHeld)
        throw failed_precondition("container \"" + id + "\": a task of it is just being made",
                                  Kind::kTask);
      claim_ = make_bundle(core, ns, id);
      is_new_ = claim_.has_value();
      if (is_new_) return;
    }
  }
  NoTask(const NoTask&) = delete;
  NoTask& operator=(const NoTask&) = delete;
  ~NoTask() {
    if (is_new_) Discard(core_, std::move(claim_));
  }

 private:
  Core& core_;
  std::optional<Claim> claim_;
  bool is_new_ = false;
};

metadata::Containers::Change change_of(const RecordChange& wanted) {
  metadata::Containers::Change change;
  change.labels = wanted.labels;
  change.annotations = wanted.annotations;
  change.extensions = wanted.extensions;
  change.image = wanted.image;
  change.snapshot_key = wanted.snapshot_key;
  change.fields = wanted.fields;
  bool has_spec = wanted.spec && names(wanted, "spec");
  if (wanted.annotations.empty() && !wanted.resources && !has_spec) return change;
  if (has_spec) change.annotations_of = oci::annotations_of;
  change.respec = [&wanted, has_spec](std::string text) {
    if (has_spec)
      text = wanted.fields ? oci::replace_spec(text, *wanted.spec)
                           : oci::patch_spec(text, *wanted.spec);
    if (!wanted.annotations.empty()) text = oci::annotate(text, wanted.annotations);
    return wanted.resources ? oci::update_resources(text, *wanted.resources).spec : text;
  };
  return change;
}

}  // namespace

void need_io_weight(const oci::ResourceOptions& resources) {
  auto weighs = [](const oci::IoOptions& io) { return io.weight.has_value(); };
  if (std::none_of(resources.io.begin(), resources.io.end(), weighs) || has_io_weight()) return;
  throw Error(Code::kUnimplemented, "io: this kernel has no weights of block devices")
      .with("field", "io")
      .with("hint", "weights need the BFQ scheduler (modprobe bfq) or cgroup v2");
}

ContainerInfo update(Core& core, const std::string& ns, const std::string& id,
                     const RecordChange& wanted, const Wait& wait) {
  check_namespace(ns);
  check_identifier("id", id);
  if (wanted.fields && !wanted.annotations.empty())
    throw invalid("annotations", "", "cannot be given beside fields: they are the spec's");
  std::optional<NoTask> no_task;
  if (names(wanted, "snapshotkey") && (wanted.fields || wanted.snapshot_key))
    no_task.emplace(core, ns, id, wait);
  std::unique_ptr<Limits> limits;
  if (wanted.resources) limits = limit_task(core, ns, id, *wanted.resources, wait);
  try {
    metadata::Removed replaced;
    replaced.record = core.containers.update(ns, id, change_of(wanted), wait, &replaced.trash);
    empty_trash(core, replaced);
    return with_status(core, ns, replaced.record, wait);
  } catch (...) {
    if (limits) limits->undo();
    throw;
  }
}

}  // namespace ctrd::engine
