// SPDX-License-Identifier: Apache-2.0
#include "engine/gc.h"

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "base/identifier.h"
#include "base/log.h"
#include "engine/checkpoint.h"
#include "engine/snapshot_layer.h"
#include "engine/snapshot_mount.h"
#include "engine/verbs.h"
#include "metadata/collect.h"
#include "snapshot/usage.h"

namespace ctrd::engine {
namespace {

using metadata::Collected;
using metadata::Facts;
using metadata::Garbage;
using metadata::ObjectKind;

constexpr int64_t kIngestLife = 24 * 3600 * int64_t{1'000'000'000};
constexpr std::size_t kMostInABatch = 1 << 20;  // of the reserve's 4 MiB

Facts facts_of(Core& core, const Wait& wait) {
  Facts facts;
  for (const auto& [number, owner] : core.containers.owners(wait))
    if (!core.owner->is_ours(number) && owner_is_dead(core.root, number, owner.process))
      facts.dead_owners.insert(number);
  facts.in_use = layers_in_use(core);
  facts.now_ns = wall_ns();
  return facts;
}

// What is collected, and what of it gives space back.
struct Sum {
  std::vector<Garbage> removed;
  uint64_t freed = 0;
  std::set<std::string> held_ingests;
};

Collected look(Core& core, const std::string& ns, const Facts& facts, const Wait& wait) {
  Collected found;
  core.containers.ledger()->read(
      wait, [&](const store::View& view) { found = metadata::collectable(view, ns, facts); });
  return found;
}

Collected remove(Core& core, const std::string& ns, const Facts& facts, const Wait& wait) {
  Collected found;
  core.containers.ledger()->change(wait, [&](metadata::Changes& changes) {
    Facts now = facts;
    note_mounts(core, &now.in_use);  // whoever mounts later looks at the records again
    found = metadata::collect(changes, ns, now, kMostInABatch);
  });
  return found;
}

uint64_t layer_size(Core& core, uint64_t number, const Wait& wait) {
  auto fs = find_dir_at(core.root.snapshots.get(), std::to_string(number) + "/fs");
  return fs ? snapshot::usage_of(fs->get(), wait).size : 0;
}

void add(Core& core, const Collected& found, const Wait& wait, Sum* sum) {
  for (const Garbage& one : found.removed)
    sum->freed += one.bytes + (one.layer ? layer_size(core, one.layer, wait) : 0);
  sum->removed.insert(sum->removed.end(), found.removed.begin(), found.removed.end());
  sum->held_ingests = found.held_ingests;
}

// In batches, each whole: others get their turn in between, and on a full disk the directories of
// one make room for the next.
Sum remove_all(Core& core, const std::string& ns, const Facts& facts, const Wait& wait) {
  Sum sum;
  for (bool is_last = false; !is_last;) {
    wait.check();
    const Collected found = with_reserves(core.root, [&] { return remove(core, ns, facts, wait); });
    add(core, found, wait, &sum);
    with_reserves(core.root, [&] { empty_trash(core, {{}, core.containers.trash(wait)}); });
    is_last = found.is_all;
  }
  std::ranges::sort(sum.removed, {}, &Garbage::object);
  return sum;
}

GcReport report_of(const Sum& sum) {
  GcReport report{{}, sum.freed};
  for (const Garbage& one : sum.removed) {
    const auto& [kind, key, snapshotter] = one.object;
    report.removed.push_back({std::string(metadata::word_of(kind)), key, snapshotter});
  }
  return report;
}

int64_t stale_since(const Facts& facts) { return facts.now_ns - kIngestLife; }

void collect_ingests(Core& core, const std::string& ns, const Sum& sum, const Facts& facts,
                     bool dry_run, const Wait& wait, GcReport* report) {
  for (const content::IngestStatus& one : core.content.ingests(ns)) {
    if (sum.held_ingests.contains(one.ref) || one.updated_ns > stale_since(facts)) continue;
    if (!dry_run && !core.content.abort_unused(ns, one.ref, stale_since(facts), wait)) continue;
    report->removed.push_back({"ingest", one.ref});
    report->freed += one.offset;
  }
}

// Only tidies up: what a full disk does not take now goes with a later batch.
void settle(Core& core, const Wait& wait) {
  try {
    core.containers.ledger()->settle(wait);
  } catch (const Error& error) {
    if (error.code() != Code::kResourceExhausted) throw;
    log(Level::kDebug, "after a collection: " + error.message());
  }
}

Error no_object(const std::string& ns, const metadata::Object& object) {
  Kind kind = object.kind == ObjectKind::kContainer    ? Kind::kContainer
              : object.kind == ObjectKind::kCheckpoint ? Kind::kCheckpoint
              : object.kind == ObjectKind::kImage      ? Kind::kImage
                                                       : Kind::kNone;
  return not_found(kind, metadata::named(object) + ": not found in namespace " + ns);
}

Explanation explain_ingest(Core& core, const std::string& ns, const metadata::Object& object,
                           const metadata::Why& held, const Facts& facts) {
  const content::IngestStatus one = core.content.ingest(ns, object.key);  // kNotFound
  Explanation why{held.is_kept, held.paths, ""};
  if (one.updated_ns <= stale_since(facts)) {
    if (!why.is_kept) why.hint = "nothing refers to it, and nobody has written to it for a day";
    return why;
  }
  why.is_kept = true;
  why.paths.push_back({metadata::named(object) + ", for a day after what was written last"});
  return why;
}

}  // namespace

GcReport gc(Engine& engine, const std::string& ns, bool dry_run, const Wait& wait) {
  Core& core = core_of(engine, wait);
  check_namespace(ns);
  unmount_leftovers(core);
  const Facts facts = facts_of(core, wait);
  Sum sum;
  if (dry_run)
    add(core, with_reserves(core.root, [&] { return look(core, ns, facts, wait); }), wait, &sum);
  else
    sum = remove_all(core, ns, facts, wait);
  GcReport report = report_of(sum);
  with_reserves(core.root, [&] { collect_ingests(core, ns, sum, facts, dry_run, wait, &report); });
  if (!dry_run) settle(core, wait);
  return report;
}

Explanation explain(Engine& engine, const std::string& ns, const LeaseResource& wanted,
                    const Wait& wait) {
  Core& core = core_of(engine, wait);
  check_namespace(ns);
  const metadata::Object object = object_of(core, ns, wanted, wait);
  const Facts facts = facts_of(core, wait);
  metadata::Why why;
  bool is_there = false;
  core.containers.ledger()->read(wait, [&](const store::View& view) {
    const metadata::Graph graph(view, ns, facts);
    is_there = graph.has(object);
    why = graph.explain(object);
  });
  if (object.kind == ObjectKind::kIngest) return explain_ingest(core, ns, object, why, facts);
  if (!is_there) throw no_object(ns, object);
  return {why.is_kept, why.paths, why.hint};
}

void remove_content(Engine& engine, const std::string& ns, const std::string& digest,
                    const Wait& wait) {
  Core& core = core_of(engine, wait);
  empty_trash(core, {{}, core.content.remove(ns, digest, wait)});
}

}  // namespace ctrd::engine
