// SPDX-License-Identifier: Apache-2.0
#include "engine/prune.h"

#include <map>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/identifier.h"
#include "base/log.h"
#include "engine/checkpoint.h"
#include "engine/leases.h"
#include "engine/snapshot_layer.h"
#include "engine/snapshot_mount.h"
#include "engine/task.h"
#include "engine/verbs.h"
#include "metadata/adaptors.h"
#include "metadata/unleased.h"
#include "snapshot/usage.h"

namespace ctrd::engine {
namespace {

using metadata::Container;
using Layers = std::set<std::pair<std::string, std::string>>;  // snapshotter, key

// What living processes' leases, and those of nobody, hold.
Layers leased_layers(Engine& engine, Core& core, const std::string& ns, const Wait& wait) {
  Layers found;
  for (const metadata::Lease& lease : list_leases(engine, ns, {}, wait)) {
    if (metadata::has_expired(lease, wall_ns())) continue;
    for (auto& object : core.leases.resources(ns, lease.id, wait))
      if (object.kind == metadata::ObjectKind::kSnapshot)
        found.emplace(std::move(object.snapshotter), std::move(object.key));
  }
  return found;
}

// Of one container, and nothing that the next one would meet too.
bool is_its_own(const Error& error) {
  return error.kind() != Kind::kRoot &&
         (error.code() == Code::kUnavailable || error.code() == Code::kNotFound ||
          error.code() == Code::kFailedPrecondition || error.code() == Code::kDataLoss);
}

class Pruner {
 public:
  Pruner(Engine& engine, Core& core, const std::string& ns, const PruneOptions& options,
         const Wait& wait)
      : core_(core),
        ns_(ns),
        options_(options),
        wait_(wait),
        filter_(options.filters),
        leased_(leased_layers(engine, core, ns, wait)),
        mounted_(layers_in_use(core)) {}

  PruneReport run() {
    const auto wanted = [&](const Container& record) { return may_go(record); };
    for (const Container& record : core_.containers.list(ns_, wait_, wanted)) {
      wait_.check();
      try {
        look_at(record);
      } catch (const Error& error) {
        if (!is_its_own(error)) throw;
        log(Level::kWarning, "container " + record.id + " is not pruned: " + error.message());
      }
    }
    return std::move(report_);
  }

 private:
  // By its record alone, which may change until it is asked again under the store's lock.
  bool may_go(const Container& record) const {
    auto field = [&](const metadata::FieldPath& path) {
      return metadata::find_field(record, path);
    };
    return record.lifetime == metadata::Lifetime::kDetached && filter_.matches(field) &&
           !leased_.contains({record.snapshotter, record.snapshot_key}) &&
           !mounted_.contains(record.snapshot_number);
  }

  void look_at(const Container& record) {
    auto task = find_task(core_, {ns_, record.id, ""}, wait_);
    if (!task || !task->exit || has_expired(*task)) return;  // the last goes by itself
    if (wall_ns() - task->exit->exited_ns < options_.stopped_for.count()) return;
    const uint64_t size = size_of(core_.root.snapshots, std::to_string(record.snapshot_number)) +
                          size_of(core_.root.logs, task->status.instance);
    if (!options_.dry_run && !remove(record, *task)) return;
    report_.removed.push_back(record.id);
    report_.freed += size;
  }

  uint64_t size_of(const UniqueFd& above, const std::string& name) const {
    auto dir = is_identifier(name) ? find_dir_at(above.get(), name) : std::nullopt;
    return dir ? snapshot::usage_of(dir->get(), wait_).size : 0;
  }

  // Just this record and this task of it. False: somebody was quicker, or wants it kept: what came
  // since the beginning counts, also what comes while the task's shim ends; then the bundle stays
  // as it is, with exit and log.
  bool remove(const Container& record, const Task& task) {
    metadata::Ledger& ledger = *core_.containers.ledger();
    const auto may = [&](const Container& now) {
      std::map<uint64_t, std::string> mounted;
      note_mounts(core_, &mounted);
      return now.created_ns == record.created_ns && may_go(now) &&
             !mounted.contains(now.snapshot_number);
    };
    auto now = core_.containers.find(ns_, record.id, wait_);
    if (!now || !may(*now) || metadata::is_leased(ledger, ns_, *now, wait_) ||
        layers_in_use(core_).contains(now->snapshot_number))
      return false;
    const TaskRef ref{ns_, record.id, task.status.instance};
    auto ended = with_reserves(core_.root, [&] { return end_task(core_, ref, false, wait_); });
    if (!ended || !ended->claim) return false;
    auto removed = with_reserves(
        core_.root, [&] { return metadata::remove_unleased(ledger, ns_, record.id, wait_, may); });
    if (!removed) return false;
    Discard at_end(core_, std::move(ended->claim));
    core_.made_containers.forget(ns_, record.id);
    empty_trash(core_, *removed);
    return true;
  }

  Core& core_;
  const std::string& ns_;
  const PruneOptions& options_;
  const Wait& wait_;
  const metadata::Filter filter_;
  const Layers leased_;
  const std::map<uint64_t, std::string> mounted_;
  PruneReport report_;
};

}  // namespace

PruneReport prune(Engine& engine, const std::string& ns, const PruneOptions& options,
                  const Wait& wait) {
  Core& core = core_of(engine, wait);
  check_namespace(ns);
  if (options.stopped_for < Nanos{0})
    throw invalid("stopped_for", std::to_string(options.stopped_for.count()),
                  "must not be negative");
  return Pruner(engine, core, ns, options, wait).run();
}

}  // namespace ctrd::engine
