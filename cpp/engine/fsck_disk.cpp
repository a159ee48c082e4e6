// SPDX-License-Identifier: Apache-2.0
#include "engine/fsck_disk.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <iterator>
#include <set>

#include "base/digest.h"
#include "base/error.h"
#include "base/files.h"
#include "base/identifier.h"
#include "base/leftover.h"
#include "base/text.h"
#include "base/time.h"
#include "engine/checkpoint_files.h"
#include "engine/claim.h"
#include "engine/criu_logs.h"
#include "engine/dir_lock.h"
#include "engine/restored_layer.h"
#include "engine/task.h"
#include "metadata/schema.h"
#include "metadata/snapshots.h"
#include "oci/probe.h"
#include "snapshot/directory.h"

namespace ctrd::engine {
namespace {

using metadata::Inventory;

constexpr const char* kBlobs = "content/blobs/sha256";
constexpr const char* kIngests = "content/ingest";

std::vector<std::string> names_in(int dir, const std::string& path) {
  auto found = find_dir_at(dir, path);
  return found ? list_dir(found->get()) : std::vector<std::string>();
}

bool is_free(int parent, const std::string& name) {
  LockFd dir = open_lockable(parent, name);
  return dir && try_lock(dir.get());
}

std::string shown(const Inventory::Name& name) { return name.first + "/" + name.second; }

std::optional<uint64_t> size_of(int dir, const std::string& name) {
  struct stat facts {};
  if (::fstatat(dir, name.c_str(), &facts, AT_SYMLINK_NOFOLLOW) < 0) return std::nullopt;
  if (!S_ISREG(facts.st_mode)) return std::nullopt;
  return static_cast<uint64_t>(facts.st_size);
}

std::set<uint64_t> numbers_of(const std::vector<std::string>& names) {
  std::set<uint64_t> numbers;
  for (const std::string& name : names)
    if (auto number = to_number(name)) numbers.insert(*number);
  return numbers;
}

uint64_t highest_of(const std::vector<std::string>& names) {
  const std::set<uint64_t> numbers = numbers_of(names);
  return numbers.empty() ? 0 : *numbers.rbegin();
}

template <typename F>
void for_each_bundle(const Core& core, const F& f) {
  for (const std::string& ns : list_dir(core.root.state.get())) {
    auto dir = is_identifier(ns) ? find_dir_at(core.root.state.get(), ns) : std::nullopt;
    if (!dir) continue;
    for (const std::string& id : list_dir(dir->get())) f(*dir, ns, id);
  }
}

class Disk {
 public:
  Disk(Core& core, const DiskNames& names, const Inventory& all, bool verify, const Wait& wait)
      : core_(core), names_(names), all_(all), verify_(verify), wait_(wait) {
    for (const auto& [n, trash] : all.trash) trash_.insert({trash.kind, trash.name});
  }

  Findings run() {
    check_bundles();
    check_layers();
    check_blobs();
    check_outside();
    check_checkpoints();
    check_owners();
    check_ingests();
    check_trash();
    check_trash_of_layers();
    check_files();
    return std::move(found_);
  }

 private:
  void note(std::string kind, std::string key, std::string problem, std::string detail,
            bool repairable = true) {
    wait_.check();
    found_.push_back(
        {std::move(kind), std::move(key), std::move(problem), std::move(detail), repairable});
  }
  bool is_trash(const std::string& kind, const std::string& name) const {
    return trash_.contains({kind, name});
  }

  void check_layers();
  void check_trash_of_layers();
  void check_blobs();
  void check_blob(const Inventory::Name& name, const metadata::Blob& blob, int dir);
  void check_bundles();
  void check_bundle(const std::string& ns, const std::string& id);
  void check_forgotten(const std::string& ns, const std::string& id);
  void check_outside();
  void check_checkpoints();
  void check_owners();
  void check_ingests();
  void check_trash();
  void check_files();
  void check_leftovers(int dir, const std::string& where, std::string_view prefix);

  Core& core_;
  const DiskNames& names_;
  const Inventory& all_;
  const bool verify_;
  const Wait& wait_;
  std::set<std::pair<std::string, std::string>> trash_;
  std::set<std::string> instances_;  // of tasks
  bool knows_instances_ = true;
  bool has_forgotten_ = false;  // a task lives that has no container
  Findings found_;
};

void Disk::check_layers() {
  std::set<uint64_t> known;
  for (const auto& [name, record] : all_.snapshots) {
    const std::string dir = std::to_string(record.number);
    known.insert(record.number);
    if (record.kind == metadata::kCommitted &&
        !find_dir_at(core_.root.snapshots.get(), dir + "/fs"))
      note("snapshot", name.ns + "/" + name.snapshotter + "/" + name.key, "missing",
           "it is committed, and its directory snapshots/" + dir + "/fs is not there", false);
  }
  for (const auto& [name, record] : all_.containers) known.insert(record.snapshot_number);
  for (const std::string& name : names_.layers) {
    auto number = to_number(name);
    if (number && !known.contains(*number) && !is_trash("snapshot", name))
      note("snapshot", "snapshots/" + name, "orphaned",
           std::string("no record has this directory") +
               (has_forgotten_ ? "; it may be that of a task without a container" : ""),
           !has_forgotten_);
  }
}

void Disk::check_blobs() {
  std::set<std::string> known;
  auto dir = find_dir_at(core_.root.dir.get(), kBlobs);
  for (const auto& [name, blob] : all_.blobs) {
    known.insert(std::string(hex_of(name.second)));
    check_blob(name, blob, dir ? dir->get() : -1);
  }
  for (const std::string& name : names_.blobs) {
    if (known.contains(name) || is_trash("blob", name) || !is_digest("sha256:" + name)) continue;
    if (core_.content.is_unheld(name, wait_))
      note("content", "sha256:" + name, "orphaned", "no namespace has a record of it");
  }
}

void Disk::check_blob(const Inventory::Name& name, const metadata::Blob& blob, int dir) {
  auto size = dir < 0 ? std::nullopt : size_of(dir, std::string(hex_of(name.second)));
  if (!size)
    return note("content", shown(name), "missing", "its bytes are not there: ingest or delete it",
                false);
  if (*size != blob.size)
    return note("content", shown(name), "damaged",
                "it has " + std::to_string(*size) + " bytes, not " + std::to_string(blob.size) +
                    ": ingest or delete it",
                false);
  if (!verify_ || core_.content.is_whole(name.second, wait_)) return;
  note("content", shown(name), "damaged", "its bytes have another digest: ingest or delete it",
       false);
}

void Disk::check_bundles() {
  for_each_bundle(core_, [&](const UniqueFd& dir, const std::string& ns, const std::string& id) {
    if (is_identifier(id)) return check_bundle(ns, id);
    const bool hidden = id.starts_with(".new-") || id.starts_with(".del-");
    if (hidden && is_free(dir.get(), id))
      note("file", core_.bundle_path(ns, id), "orphaned", "a process that died left it");
  });
}

void Disk::check_bundle(const std::string& ns, const std::string& id) {
  std::optional<Claim> claim;
  const Claimed claimed = claim_bundle(core_, ns, id, Wait{}.at_once(), &claim);
  if (claimed == Claimed::kAbsent) return;
  const bool is_left = claimed == Claimed::kTaken;
  std::optional<api::StatusFile> status;
  try {
    status = find_status(core_, ns, id);
  } catch (const Error& error) {
    if (error.code() != Code::kDataLoss) throw;
    knows_instances_ = false;
    note("task", ns + "/" + id, "damaged", error.message(), is_left);
  }
  if (status) instances_.insert(status->instance);
  const bool has_record =
      all_.containers.contains({ns, id}) || all_.damaged.contains(metadata::key_container(ns, id));
  if (!is_left && !has_record && status) check_forgotten(ns, id);
  if (!is_left) return;
  if (!has_record) return note("task", ns + "/" + id, "orphaned", "there is no container of it");
  if (status && !readable_exit(claim->dir.get()))
    note("task", ns + "/" + id, "dead", "its shim is gone");
}

// Its record was lost, or somebody is just removing it.
void Disk::check_forgotten(const std::string& ns, const std::string& id) {
  auto bundle = core_.find_dir(ns, id);
  if (!bundle) return;
  const bool has_ended = readable_exit(bundle->get()).has_value();
  has_forgotten_ |= !has_ended;
  note("task", ns + "/" + id, "orphaned",
       has_ended ? "it has ended, and there is no container of it"
                 : "it lives without a container: end it by ctrd stop " + id,
       has_ended);
}

void Disk::check_outside() {
  if (!knows_instances_) return;  // one of them may be that one's
  for (const std::string& name : names_.logs)
    if (name != kCriuLogs && !instances_.contains(name) && !is_trash("logs", name))
      note("logs", "logs/" + name, "orphaned", "they are of no task that is there");
  for (const std::string& instance : restored_layers(names_.layers))
    if (!instances_.contains(instance))
      note("file", restored_layer_path(core_, instance), "orphaned",
           "it is of no task that is there");
}

void Disk::check_checkpoints() {
  std::set<std::string> known;
  auto parent = find_dir_at(core_.root.dir.get(), kCheckpointsDir);
  for (const auto& [name, record] : all_.checkpoints) {
    const std::string dir = std::to_string(record.number);
    known.insert(dir);
    try {
      auto sealed = open_checkpoint(core_.root.path + "/" + kCheckpointsDir + "/" + dir);
      if (verify_) check_parts(sealed, wait_);
    } catch (const Error& error) {
      const bool is_lost = error.code() == Code::kNotFound;
      if (!is_lost && error.code() != Code::kDataLoss) throw;
      note("checkpoint", shown(name), is_lost ? "missing" : "damaged",
           error.message() + ": delete it", false);
    }
  }
  for (const std::string& name : names_.free_checkpoints)
    if (!known.contains(name) && parent && is_free(parent->get(), name))  // not just removed
      note("checkpoint", "checkpoints/" + name, "orphaned", "no record has this directory");
}

void Disk::check_owners() {
  const int dir = core_.root.owners.get();
  for (const auto& [number, owner] : all_.owners) {
    if (core_.owner->is_ours(number) || !owner_is_dead(core_.root, number, owner.process)) continue;
    note("owner", std::to_string(number), "dead",
         "process " + std::to_string(owner.process.pid) + " is gone; what it owned goes");
  }
  for (const std::string& name : names_.owners) {
    auto number = to_number(name);
    if (!number || all_.owners.contains(*number)) continue;
    auto file = find_at(dir, name, O_RDONLY | O_CLOEXEC);
    if (file && try_lock(file->get(), false))
      note("owner", name, "orphaned", "its lock file has no record");
  }
}

void Disk::check_ingests() {
  auto dir = find_dir_at(core_.root.dir.get(), kIngests);
  if (!dir) return;
  const int64_t before = wall_ns() - stale_after().count();
  for (const auto& one : content::stale_ingests(dir->get(), before)) {
    if (one.ref.empty())
      note("ingest", std::string(kIngests) + "/" + one.name, "orphaned",
           "a process that died left it half made");
    else if (!is_leased(all_, one.ref))
      note("ingest", one.ref, "stale", "nobody has written to it for a day");
  }
}

void Disk::check_trash() {
  static const std::map<std::string, std::string> kPlaces = {
      {"snapshot", "snapshots/"}, {"logs", "logs/"}, {"blob", std::string(kBlobs) + "/"}};
  for (const auto& [number, trash] : all_.trash) {
    auto place = kPlaces.find(trash.kind);
    if (place == kPlaces.end() || !is_identifier(trash.name)) continue;
    if (trash.kind == "blob" && !core_.content.is_unheld(trash.name, wait_)) continue;
    if (find_at(core_.root.dir.get(), place->second + trash.name, O_PATH | O_NOFOLLOW))
      note("trash", place->second + trash.name, "orphaned", "it was deleted, and is there still");
  }
}

// A repair that could not remove all of a layer without a record, say. Who just removes one has its
// trash key until it is gone.
void Disk::check_trash_of_layers() {
  for (const std::string& name : names_.layers) {
    if (!name.starts_with(snapshot::kTrashPrefix)) continue;
    const bool is_theirs = is_trash("snapshot", name.substr(snapshot::kTrashPrefix.size()));
    if (!is_theirs && exists_at(core_.root.snapshots.get(), name))
      note("file", core_.root.path + "/snapshots/" + name, "orphaned",
           "it was deleted, and is there still");
  }
}

void Disk::check_leftovers(int dir, const std::string& where, std::string_view prefix) {
  for (const std::string& name : list_dir(dir)) {
    if (!is_leftover(name, prefix)) continue;
    std::string path = where;
    note("file", path.append("/").append(name), "orphaned", "a process that died left it");
  }
}

void Disk::check_files() {
  const int state = core_.root.state.get(), layers = core_.root.snapshots.get();
  const std::string in_state = core_.root.state_path, in_layers = core_.root.path + "/snapshots";
  check_leftovers(state, in_state, ".tmp-");
  check_leftovers(state, in_state, ".id-");
  check_leftovers(state, in_state, ".mnt-");
  check_leftovers(state, in_state, oci::kProbePrefix);
  check_leftovers(core_.root.owners.get(), in_state + "/.owners", ".tmp-");
  check_leftovers(layers, in_layers, oci::kProbePrefix);
  check_leftovers(layers, in_layers, ".new-");
}

}  // namespace

DiskNames list_names(const Core& core) {
  const int root = core.root.dir.get();
  DiskNames names{list_dir(core.root.snapshots.get()), names_in(root, kBlobs),
                  list_dir(core.root.logs.get()),      names_in(root, kCheckpointsDir),
                  list_dir(core.root.owners.get()),    {}};
  if (auto parent = find_dir_at(root, kCheckpointsDir))
    std::ranges::copy_if(names.checkpoints, std::back_inserter(names.free_checkpoints),
                         [&](const std::string& name) { return is_free(parent->get(), name); });
  return names;
}

metadata::DiskFacts numbers_on_disk(const DiskNames& names) {
  metadata::DiskFacts facts;
  facts.layers = numbers_of(names.layers);
  facts.checkpoint = highest_of(names.checkpoints);
  facts.owner = highest_of(names.owners);
  return facts;
}

metadata::DiskFacts disk_facts(Core& core, const DiskNames& names) {
  metadata::DiskFacts facts = numbers_on_disk(names);
  facts.state = core.root.state_path;
  if (auto blobs = find_dir_at(core.root.dir.get(), kBlobs))
    for (const std::string& name : names.blobs)
      if (auto size = size_of(blobs->get(), name)) facts.blobs["sha256:" + name] = *size;
  for_each_bundle(core, [&](const UniqueFd&, const std::string& ns, const std::string& id) {
    std::optional<Claim> claim;
    const bool is_one = is_identifier(id);
    if (is_one && claim_bundle(core, ns, id, Wait{}.at_once(), &claim) == Claimed::kHeld)
      facts.live.insert({ns, id});
  });
  return facts;
}

Findings check_disk(Core& core, const DiskNames& names, const Inventory& all, bool verify,
                    const Wait& wait) {
  return Disk(core, names, all, verify, wait).run();
}

bool is_leased(const Inventory& all, const std::string& ref) {
  const std::size_t slash = ref.find('/');
  if (slash == ref.npos) return false;
  const std::string ns = ref.substr(0, slash);
  const metadata::Object object{metadata::ObjectKind::kIngest, ref.substr(slash + 1)};
  return std::ranges::any_of(all.held, [&](const auto& entry) {
    return entry.second.first.first == ns && entry.second.second == object;
  });
}

}  // namespace ctrd::engine
