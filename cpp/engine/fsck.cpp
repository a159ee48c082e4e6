// SPDX-License-Identifier: Apache-2.0
#include "engine/fsck.h"

#include <algorithm>

#include "base/digest.h"
#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/text.h"
#include "content/blobs.h"
#include "engine/checkpoint_files.h"
#include "engine/core.h"
#include "engine/dir_lock.h"
#include "engine/fsck_disk.h"
#include "engine/incomplete.h"
#include "engine/snapshot_layer.h"
#include "engine/verbs.h"
#include "metadata/content.h"
#include "metadata/fields.h"
#include "metadata/schema.h"
#include "snapshot/directory.h"

namespace ctrd::engine {
namespace {

using metadata::Finding;
using store::View;

constexpr const char* kLost = "lost";

struct Look {
  Findings findings;
  DiskNames names;
  metadata::DiskFacts facts;
  metadata::Checked checked;
  bool has_database = true;  // it can be read
  bool knows_state = true;   // the records' state directory is ours, or of another boot
  bool may_repair = true;    // or nobody uses it
  bool is_complete = true;   // no record may be lost
};

bool is_damage(const Error& error) {
  return error.code() == Code::kDataLoss && error.kind() == Kind::kRoot;
}

void check_version(const View& view, Findings& findings) {
  if (!view.find(metadata::key_version())) return;
  auto version = metadata::find_version(view);
  if (version && *version > metadata::kSchemaVersion)
    throw failed_precondition("fsck: schema version " + std::to_string(*version) +
                                  ": this ctrd knows up to " +
                                  std::to_string(metadata::kSchemaVersion),
                              Kind::kRoot);
  if (!version)
    findings.push_back({"version", "metadata", "damaged", "the schema's", true});
  else if (*version < metadata::kSchemaVersion)
    findings.push_back(
        {"version", "metadata", "stale",
         "the schema is " + std::to_string(*version) + "; any verb brings it up to date", true});
}

void check_state(const Core& core, const View& view, Look& look) {
  if (!view.find(metadata::key_state())) return;
  auto known = metadata::find_state(view);
  std::optional<Finding> finding;
  if (!known)
    finding = Finding{"state", core.root.state_path, "damaged", "its record cannot be read", true};
  else
    finding = check_state_directory(core, *known);
  look.knows_state = !finding;
  look.may_repair = !finding || finding->repairable;
  if (finding) look.findings.push_back(std::move(*finding));
}

void check_complete(const Core& core, Look& look) {
  look.is_complete = !is_incomplete(core);
  if (look.is_complete) return;
  look.findings.push_back({"database", "records", "missing",
                           "some may be lost: what has none on the disk is kept", true});
}

// Without changing anything.
Look look_at(Core& core, bool verify, const Wait& wait) {
  Look look;
  look.names = list_names(core);
  look.facts = disk_facts(core, look.names);
  try {
    core.containers.ledger()->read(wait, [&](const View& view) {
      look.findings.clear();
      check_version(view, look.findings);
      check_state(core, view, look);
      check_complete(core, look);
      look.checked = metadata::check_records(view, look.facts);
    });
  } catch (const Error& error) {
    if (!is_damage(error)) throw;
    look.has_database = false;
    look.findings = {
        {"database", std::string(error.find("file")), "damaged", error.message(), true}};
    return look;
  }
  std::ranges::copy(look.checked.findings, std::back_inserter(look.findings));
  if (look.knows_state)  // another one's tasks and locks are not seen
    std::ranges::copy(check_disk(core, look.names, look.checked.all, verify, wait),
                      std::back_inserter(look.findings));
  return look;
}

UniqueFd lost_dir(const Core& core) {
  UniqueFd metadata = core.root.metadata();
  return make_dirs_at(metadata.get(), kLost, 0700);
}

// A key as a file's name: at most 255 bytes, nothing of a path in it.
std::string file_name(const std::string& key) {
  std::string name = "record ";
  for (char c : key.substr(0, 200))
    name += c == '/' || static_cast<unsigned char>(c) < 32 ? '_' : c;
  return name;
}

// Before they are erased: the key, a line feed, the value.
void save(const Core& core, const std::map<std::string, std::string>& lost) {
  if (lost.empty()) return;
  UniqueFd dir = lost_dir(core);
  for (const auto& [key, value] : lost) {
    std::string text = key;
    text.append("\n").append(value);
    replace_file_at(dir.get(), free_name_at(dir.get(), file_name(key)), text, 0600, true);
  }
}

void keep_aside(const Core& core, int parent, const std::string& name, const std::string& as) {
  UniqueFd dir = lost_dir(core);
  rename_at(parent, name, dir.get(), free_name_at(dir.get(), as));
}

bool is_orphan(const Finding& finding, const std::string& prefix) {
  return finding.problem == "orphaned" && finding.key.starts_with(prefix);
}

// Of "snapshots/<name>" or "checkpoints/<name>".
std::string name_of(const Finding& finding) {
  return finding.key.substr(finding.key.find('/') + 1);
}

// What one of them cannot have now, the next fsck tries again.
template <typename F>
void quietly(const Finding& finding, const F& f) {
  try {
    f();
  } catch (const Error& error) {
    if (error.kind() == Kind::kRoot || error.code() == Code::kCancelled) throw;
    log(Level::kWarning, "fsck: " + finding.kind + " " + finding.key + ": " + error.message());
  }
}

// Those that have ended, but whose shims are there still: recovery leaves them alone.
void remove_forgotten(Core& core, const Look& look, const Wait& wait) {
  for (const Finding& one : look.findings) {
    const std::size_t slash = one.key.find('/');
    if (one.kind != "task" || one.problem != "orphaned" || !one.repairable) continue;
    const TaskRef task{one.key.substr(0, slash), one.key.substr(slash + 1), ""};
    quietly(one, [&] { delete_task(core, task, false, wait); });
  }
}

void remove_orphans(Core& core, const Look& look, const Wait& wait) {
  for (const Finding& one : look.findings) {
    wait.check();
    if (one.kind == "snapshot" && is_orphan(one, "snapshots/") && one.repairable)
      quietly(one, [&] { remove_layer(core, to_number(name_of(one)).value_or(0)); });
    if (one.kind == "content" && is_orphan(one, "sha256:"))
      quietly(one, [&] { core.content.remove_unheld(std::string(hex_of(one.key)), wait); });
  }
  if (auto dir = find_dir_at(core.root.dir.get(), "content/ingest"))
    content::remove_stale_ingests(
        dir->get(), wall_ns() - stale_after().count(),
        [&](const std::string& ref) { return is_leased(look.checked.all, ref); });
}

void remove_trash_of_layers(Core& core, const Look& look, const Wait& wait) {
  for (const Finding& one : look.findings) {
    wait.check();
    const std::string name = one.key.substr(one.key.rfind('/') + 1);
    if (one.kind == "file" && name.starts_with(snapshot::kTrashPrefix))
      quietly(one, [&] { remove_tree_at(core.root.snapshots.get(), name); });
  }
}

void keep_layer(Core& core, const Finding& one) {
  const std::string name = name_of(one);
  auto layer = Layer::find(core, to_number(name).value_or(0), cleanup_wait());
  if (!layer) return;
  const LockFd alone = use_alone(core, *layer, one.key);
  keep_aside(core, core.root.snapshots.get(), name, "snapshot " + name);
}

void keep_blob(Core& core, const Finding& one, const Wait& wait) {
  const content::BlobsLock held(open_dir_at(core.root.dir.get(), "content").get(), wait);
  if (metadata::ContentRecords(core.containers.ledger()).is_held(one.key, wait)) return;
  const std::string name(hex_of(one.key));
  UniqueFd blobs = open_dir_at(core.root.dir.get(), "content/blobs/sha256");
  keep_aside(core, blobs.get(), name, "blob " + name);
}

void keep_checkpoint(Core& core, const Finding& one) {
  const std::string name = name_of(one);
  UniqueFd parent = open_dir_at(core.root.dir.get(), kCheckpointsDir);
  const LockFd dir = open_lockable(parent.get(), name);
  if (dir && try_lock(dir.get())) keep_aside(core, parent.get(), name, "checkpoint " + name);
}

// Instead of removing them: each may be what a lost record spoke of. What cannot be kept now, a
// task's layer that is mounted say, stays where it is.
void keep_orphans(Core& core, const Look& look, const Wait& wait) {
  for (const Finding& one : look.findings) {
    wait.check();
    if (one.kind == "snapshot" && is_orphan(one, "snapshots/") && one.repairable)
      quietly(one, [&] { keep_layer(core, one); });
    if (one.kind == "content" && is_orphan(one, "sha256:"))
      quietly(one, [&] { keep_blob(core, one, wait); });
    if (one.kind == "checkpoint" && is_orphan(one, "checkpoints/"))
      quietly(one, [&] { keep_checkpoint(core, one); });
  }
}

// All that has no record is kept elsewhere.
bool is_through(const Look& look) {
  return look.has_database && look.knows_state &&
         std::ranges::none_of(look.findings, [](const Finding& one) {
           return is_orphan(one, "snapshots/") || is_orphan(one, "checkpoints/") ||
                  is_orphan(one, "sha256:");
         });
}

// Once more, after a repair: whether it is through.
Look look_again(Core& core, bool verify, const Wait& wait) {
  Look look = look_at(core, verify, wait);
  if (look.is_complete || !is_through(look)) return look;
  sync_dir(lost_dir(core).get());
  mark_complete(core);
  std::erase_if(look.findings,
                [](const Finding& one) { return one.kind == "database" && one.key == "records"; });
  return look;
}

void repair_records(Core& core, const Look& look, const Wait& wait) {
  const bool adopts = std::ranges::any_of(
      look.findings, [](const Finding& one) { return one.kind == "state" && one.repairable; });
  save(core, look.checked.lost);
  if (look.checked.hides_directories) mark_incomplete(core);
  core.containers.ledger()->write(wait, [&](const View& view, store::Batch& batch) {
    if (view.find(metadata::key_version()) && !metadata::find_version(view))
      batch.put(metadata::key_version(), metadata::encode_number(metadata::kSchemaVersion));
    if (adopts) batch.put(metadata::key_state(), metadata::encode(core.root.token));
    metadata::repair_records(view, batch, look.facts, look.checked.lost);
  });
}

void repair(Core& core, const Look& look, const Wait& wait) {
  repair_records(core, look, wait);
  core.enter(wait);
  recover(core, wait);  // bundles, owners, logs, trash, leftovers
  remove_forgotten(core, look, wait);
  remove_trash_of_layers(core, look, wait);
  const bool may_be_lost = !look.is_complete || is_incomplete(core);  // at any time since
  may_be_lost ? keep_orphans(core, look, wait) : remove_orphans(core, look, wait);
}

// What could not be read of it. Nobody sees the new one before its numbers are behind those that
// are in use: two would mount one directory.
std::vector<FsckFinding> make_database_anew(Core& core, const Look& look, const Wait& wait) {
  std::vector<FsckFinding> found;
  mark_incomplete(core);
  auto damage = core.containers.ledger()->repair(wait, [&](const View& view, store::Batch& batch) {
    metadata::keep_numbers(view, batch, numbers_on_disk(list_names(core)));
  });
  found.reserve(damage.size() + 1);
  for (auto& file : damage)
    found.push_back({{"database", file.file, "damaged", file.problem, true}, true});
  if (found.empty()) found.push_back({look.findings[0], true});
  return found;
}

bool is_same(const Finding& a, const Finding& b) {
  return a.kind == b.kind && a.key == b.key && a.problem == b.problem;
}

std::vector<FsckFinding> outcome(Findings before, Findings after) {
  std::vector<FsckFinding> all;
  for (Finding& one : before) {
    auto left = std::ranges::find_if(after, [&](const Finding& now) { return is_same(now, one); });
    const bool repaired = left == after.end();
    if (!repaired) after.erase(left);
    all.push_back({std::move(one), repaired});
  }
  for (Finding& one : after) all.push_back({std::move(one), false});
  return all;
}

std::vector<FsckFinding> with_rest(std::vector<FsckFinding> found, Findings before,
                                   Findings after) {
  std::ranges::move(outcome(std::move(before), std::move(after)), std::back_inserter(found));
  return found;
}

}  // namespace

std::vector<FsckFinding> fsck(Engine& engine, const FsckOptions& options, const Wait& wait) {
  Core& core = core_unentered(engine);
  std::vector<FsckFinding> found;
  Look look = look_at(core, options.verify, wait);
  if (!options.repair) return outcome(look.findings, look.findings);
  if (!look.has_database) {
    found = make_database_anew(core, look, wait);
    look = look_at(core, options.verify, wait);
  }
  if (!look.may_repair) return with_rest(std::move(found), look.findings, look.findings);
  repair(core, look, wait);
  Look after = look_again(core, options.verify, wait);
  return with_rest(std::move(found), std::move(look.findings), std::move(after.findings));
}

}  // namespace ctrd::engine
