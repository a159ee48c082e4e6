// SPDX-License-Identifier: Apache-2.0
#include "metadata/check.h"

#include <algorithm>
#include <string_view>

#include "base/error.h"
#include "base/text.h"
#include "base/time.h"
#include "metadata/fields.h"
#include "metadata/schema.h"
#include "metadata/snapshots.h"

namespace ctrd::metadata {
namespace {

using Name = Inventory::Name;
using store::Batch;
using store::View;

std::string shown(const Name& name) { return name.first + "/" + name.second; }
std::string shown(const SnapshotName& name) {
  return name.ns + "/" + name.snapshotter + "/" + name.key;
}
SnapshotPlace place_of(const SnapshotName& name) { return {name.ns, name.snapshotter, name.key}; }

class Check {
 public:
  // saved: nullptr to look only.
  Check(const View& view, const DiskFacts& disk, Batch* batch,
        const std::map<std::string, std::string>* saved)
      : view_(view), disk_(disk), batch_(batch), saved_(saved) {
    checked_.all = take_inventory(view);
  }

  void keep_numbers();
  Checked run() {
    for (const auto& [key, damaged] : checked_.all.damaged) check_damaged(key, damaged);
    check_specs();
    check_leases();
    for (auto& [name, record] : checked_.all.containers) check_container(name, record);
    for (const auto& [name, record] : checked_.all.snapshots) check_snapshot(name, record);
    check_namespaces();
    check_numbers();
    check_references();
    return std::move(checked_);
  }

 private:
  Inventory& all() { return checked_.all; }
  void note(std::string kind, std::string key, std::string problem, std::string detail,
            bool repairable = true) {
    checked_.findings.push_back(
        {std::move(kind), std::move(key), std::move(problem), std::move(detail), repairable});
  }
  // False: what it overwrites is not saved.
  bool may_lose(const std::string& key, const std::string& value) {
    checked_.lost[key] = value;
    if (!saved_) return false;
    auto found = saved_->find(key);
    return found != saved_->end() && found->second == value;
  }
  void put(const std::string& key, std::string value) {
    if (batch_) batch_->put(key, std::move(value));
  }
  void erase(const std::string& key) {
    if (batch_) batch_->erase(key);
  }
  bool is_live(const Name& name) const { return disk_.live.contains(name); }

  void check_damaged(const std::string& key, const Inventory::Damaged& damaged);
  std::optional<std::string> made_anew(const std::string& kind, const Name& name);
  std::optional<std::string> snapshot_anew(const SnapshotName& name);
  std::string parent_of(const SnapshotName& name);
  Snapshot active_anew(const SnapshotName& name, const Container& record);
  void check_specs();
  void check_leases();
  void need_owner(uint64_t number, const ProcessKey& process, const std::string& whose);
  void check_container(const Name& name, Container& record);
  void check_its_snapshot(const Name& name, Container& record);
  void check_snapshot(const SnapshotName& name, const Snapshot& record);
  void check_namespaces();
  void check_numbers();
  void check_number(const std::string& what, uint64_t in_records, uint64_t on_disk);
  uint64_t highest(const std::string& what) const;  // in records
  uint64_t highest_on_disk(const std::string& what) const;
  void check_references();
  bool is_kept(const std::string& reference) const;

  const View& view_;
  const DiskFacts& disk_;
  Batch* batch_;
  const std::map<std::string, std::string>* saved_;
  Checked checked_;
  std::set<Name> kept_;  // containers that cannot be read, whose tasks live
  std::map<uint64_t, SnapshotName> layers_;
  std::map<SnapshotName, Name> holders_;
};

struct KindAndName {
  std::string kind;
  Name name;
};

KindAndName parse(const std::string& key) {
  const std::size_t slash = key.find('/'), next = key.find('/', slash + 1);
  const std::string first = key.substr(0, slash);
  if (first == ".n") return {"number", {"", key.substr(slash + 1)}};
  if (first == ".ns") return {"namespace", {"", key.substr(slash + 1)}};
  if (first == ".outbox") return {"event", {"", key.substr(slash + 1)}};
  if (key.starts_with('.'))
    return {first.substr(1), {"", key.substr(std::min(slash + 1, key.size()))}};
  const std::string what = next == key.npos ? "" : key.substr(slash + 1, next - slash - 1);
  static const std::map<std::string, std::string> kKinds = {
      {"c", "container"},   {"s", "spec"},      {"snap", "snapshot"}, {"blob", "content"},
      {"cp", "checkpoint"}, {"lease", "lease"}, {"held", "lease"}};
  auto kind = kKinds.find(what);
  if (kind == kKinds.end()) return {"key", {"", key}};
  return {kind->second, {first, key.substr(next + 1)}};
}

void Check::check_damaged(const std::string& key, const Inventory::Damaged& damaged) {
  const auto [kind, name] = parse(key);
  const std::string named = name.first.empty() ? name.second : shown(name);
  if (kind == "container" && is_live(name)) {
    kept_.insert(name);
    return note(kind, named, "damaged", damaged.why + "; its task lives: end it first", false);
  }
  std::optional<std::string> anew = made_anew(kind, name);
  note(
      kind, named, "damaged",
      damaged.why + (anew ? "; it can be made anew, without its labels" : "; it can be put aside"));
  if (!anew && (kind == "snapshot" || kind == "checkpoint")) checked_.hides_directories = true;
  if (!may_lose(key, damaged.value)) return;
  anew ? put(key, *anew) : erase(key);
}

// What others say of it suffices.
std::optional<std::string> Check::made_anew(const std::string& kind, const Name& name) {
  if (kind == "namespace") {
    all().namespaces.insert(name.second);
    return encode(Namespace{{}, wall_ns()});
  }
  if (kind == "number") {  // records that are lost had numbers too
    all().numbers[name.second] = std::max(highest_on_disk(name.second), highest(name.second));
    return encode_number(all().numbers[name.second]);
  }
  if (kind == "content" && disk_.blobs.contains(name.second)) {
    Blob blob{name.second, disk_.blobs.at(name.second), wall_ns(), wall_ns(), {}};
    all().blobs[name] = blob;
    return encode(blob);
  }
  std::size_t slash = name.second.find('/');
  if (kind == "snapshot" && slash != std::string::npos)
    return snapshot_anew(
        {name.first, name.second.substr(0, slash), unescaped_key(name.second.substr(slash + 1))});
  return std::nullopt;
}

std::optional<std::string> Check::snapshot_anew(const SnapshotName& name) {
  for (const auto& [of, record] : all().containers) {
    if (of.first != name.ns || record.snapshotter != name.snapshotter ||
        record.snapshot_key != name.key || !record.snapshot_number)
      continue;
    all().snapshots[name] = active_anew(name, record);
    return encode(all().snapshots[name]);
  }
  return std::nullopt;
}

// By the reverse key that its parent has; "" for none.
std::string Check::parent_of(const SnapshotName& name) {
  const std::string prefix = snapshot_refs_prefix(name.ns, name.snapshotter);
  const std::string_view tail = "/snap/";
  for (auto at = all().references.lower_bound(prefix);
       at != all().references.end() && at->starts_with(prefix); ++at) {
    const std::string rest = at->substr(prefix.size());
    const std::size_t slash = rest.find('/');
    if (rest.substr(slash).starts_with(tail) &&
        unescaped_key(rest.substr(slash + tail.size())) == name.key)
      return unescaped_key(rest.substr(0, slash));
  }
  return "";
}

Snapshot Check::active_anew(const SnapshotName& name, const Container& record) {
  Snapshot made;
  made.number = record.snapshot_number;
  made.kind = kActive;
  made.parent = parent_of(name);
  if (made.parent.empty() && record.snapshot_key == record.id) made.bottom = record.rootfs;
  made.created_ns = made.updated_ns = record.created_ns;
  return made;
}

void Check::check_specs() {
  for (const Name& name : all().specs) {
    if (all().containers.contains(name) || kept_.contains(name)) continue;
    const std::string key = key_spec(name.first, name.second);
    note("spec", shown(name), "orphaned", "there is no container of it");
    if (may_lose(key, view_.find(key).value_or(""))) erase(key);
  }
}

void Check::check_leases() {
  for (const auto& [name, record] : all().leases)
    need_owner(record.owner, record.owner_process, "lease " + shown(name));
  std::erase_if(all().held, [&](const auto& entry) {
    const Name& lease = entry.second.first;
    if (all().leases.contains(lease)) return false;
    note("lease", shown(lease), "orphaned",
         "there is no lease of that name, which would hold " + named(entry.second.second));
    erase(entry.first);
    return true;
  });
}

void Check::need_owner(uint64_t number, const ProcessKey& process, const std::string& whose) {
  if (!number || all().owners.contains(number)) return;
  note("owner", std::to_string(number), "missing", whose + " has it");
  all().owners[number] = {process, disk_.state};
  put(key_owner(number), encode(all().owners[number]));
}

void Check::check_container(const Name& name, Container& record) {
  if (!all().specs.contains(name) && !all().damaged.contains(key_spec(name.first, name.second)))
    note("container", shown(name), "missing", "it has no spec: delete it", false);
  need_owner(record.owner, record.owner_process, "container " + shown(name));
  if (!record.snapshot_key.empty()) check_its_snapshot(name, record);
}

void Check::check_its_snapshot(const Name& name, Container& record) {
  const SnapshotName of{name.first, record.snapshotter, record.snapshot_key};
  auto [holder, is_first] = holders_.try_emplace(of, name);
  if (!is_first)
    note("container", shown(name), "damaged",
         "container " + shown(holder->second) + " has its snapshot " + of.key + " too", false);
  auto found = all().snapshots.find(of);
  if (found == all().snapshots.end()) {
    const bool known = record.snapshot_number != 0;
    note("container", shown(name), "dangling", "there is no record of its snapshot " + of.key,
         known);
    if (!known) return;
    all().snapshots[of] = active_anew(of, record);
    return put(key_snapshot(place_of(of)), encode(all().snapshots[of]));
  }
  if (found->second.number == record.snapshot_number) return;
  const bool may = !is_live(name) && !disk_.layers.contains(record.snapshot_number);
  note("container", shown(name), "damaged",
       "its snapshot has the directory " + std::to_string(found->second.number) + ", not " +
           std::to_string(record.snapshot_number),
       may);
  if (!may) return;
  record.snapshot_number = found->second.number;
  record.rootfs = found->second.bottom;
  put(key_container(name.first, name.second), encode(record));
}

void Check::check_snapshot(const SnapshotName& name, const Snapshot& record) {
  auto [other, is_first] = layers_.try_emplace(record.number, name);
  if (!is_first)
    note("snapshot", shown(name), "damaged",
         "its directory " + std::to_string(record.number) + " is that of " + shown(other->second) +
             " too",
         false);
  if (record.parent.empty()) return;
  auto parent = all().snapshots.find({name.ns, name.snapshotter, record.parent});
  if (parent == all().snapshots.end())
    note("snapshot", shown(name), "dangling", "there is no record of its parent " + record.parent,
         false);
  else if (parent->second.kind != kCommitted)
    note("snapshot", shown(name), "dangling", "its parent " + record.parent + " is not committed",
         false);
}

void Check::check_namespaces() {
  std::set<std::string> used;
  for (const auto& [name, record] : all().containers) used.insert(name.first);
  for (const auto& [name, record] : all().snapshots) used.insert(name.ns);
  for (const auto& [name, record] : all().blobs) used.insert(name.first);
  for (const auto& [name, record] : all().checkpoints) used.insert(name.first);
  for (const auto& [name, record] : all().leases) used.insert(name.first);
  for (const std::string& ns : used) {
    if (all().namespaces.contains(ns)) continue;
    note("namespace", ns, "missing", "there are objects in it");
    put(key_namespace(ns), encode(Namespace{{}, wall_ns()}));
  }
}

uint64_t Check::highest(const std::string& what) const {
  const Inventory& known = checked_.all;
  uint64_t number = 0;
  auto see = [&](uint64_t one) { number = std::max(number, one); };
  if (what == "snap") {
    for (const auto& [name, record] : known.snapshots) see(record.number);
    for (const auto& [name, record] : known.containers) see(record.snapshot_number);
    for (const auto& [n, trash] : known.trash)
      if (trash.kind == "snapshot") see(to_number(trash.name).value_or(0));
  }
  if (what == "checkpoint")
    for (const auto& [name, record] : known.checkpoints) see(record.number);
  if (what == "owner") {
    for (const auto& [n, owner] : known.owners) see(n);
    for (const auto& [name, record] : known.containers) see(record.owner);
    for (const auto& [name, record] : known.leases) see(record.owner);
  }
  if (what == "trash" && !known.trash.empty()) see(known.trash.rbegin()->first);
  if (what == "outbox")
    view_.scan_prefix(outbox_prefix(), [&](std::string_view key, std::string_view) {
      return see(number_of(key).value_or(0)), true;
    });
  return number;
}

uint64_t Check::highest_on_disk(const std::string& what) const {
  if (what == "snap" && !disk_.layers.empty()) return *disk_.layers.rbegin();
  if (what == "checkpoint") return disk_.checkpoint;
  return what == "owner" ? disk_.owner : 0;
}

void Check::check_numbers() {
  for (const char* what : {"snap", "checkpoint", "owner", "trash", "outbox"})
    check_number(what, highest(what), highest_on_disk(what));
}

// What is on the disk alone is somebody's, whose record was lost: it is said of that. But a task
// that has none may have its layer mounted, and a process its lock.
void Check::check_number(const std::string& what, uint64_t in_records, uint64_t on_disk) {
  const uint64_t last = all().numbers[what];
  if (last < in_records)
    note("number", what, "damaged",
         std::to_string(in_records) + " is in use, and would be given out again after " +
             std::to_string(last));
  const uint64_t highest = std::max(in_records, on_disk);
  if (last < highest) put(key_number(what), encode_number(highest));
}

// Trash and outbox have nothing on the disk; but a process that goes on may know numbers of keys
// that it is yet to erase. In nanoseconds since 1970 nobody had that many.
void Check::keep_numbers() {
  check_numbers();
  for (const char* what : {"trash", "outbox"})
    put(key_number(what), encode_number(static_cast<uint64_t>(wall_ns())));
}

// Of a container that cannot be read, and is left as it is.
bool Check::is_kept(const std::string& reference) const {
  return std::ranges::any_of(kept_, [&](const Name& name) {
    return reference.starts_with(name.first + "/") && reference.ends_with("/c/" + name.second);
  });
}

void Check::check_references() {
  const std::set<std::string> expected = expected_references(all());
  for (const std::string& key : expected) {
    if (all().references.contains(key)) continue;
    note("reference", key, "missing", "the record that it is of is there");
    put(key, "");
  }
  for (const std::string& key : all().references) {
    if (expected.contains(key) || is_kept(key)) continue;
    note("reference", key, "orphaned", "no record refers like that");
    erase(key);
  }
}

}  // namespace

Checked check_records(const View& view, const DiskFacts& disk) {
  return Check(view, disk, nullptr, nullptr).run();
}

void repair_records(const View& view, Batch& batch, const DiskFacts& disk,
                    const std::map<std::string, std::string>& saved) {
  batch.use_reserve();
  Check(view, disk, &batch, &saved).run();
}

void keep_numbers(const View& view, Batch& batch, const DiskFacts& disk) {
  Check(view, disk, &batch, nullptr).keep_numbers();
}

std::optional<State> find_state(const View& view) {
  auto bytes = view.find(key_state());
  try {
    if (bytes) return decode_state(*bytes);
  } catch (const Error& error) {
    if (error.code() != Code::kDataLoss) throw;
  }
  return std::nullopt;
}

std::optional<uint64_t> find_version(const View& view) {
  auto bytes = view.find(key_version());
  try {
    if (bytes) return decode_number(*bytes);
  } catch (const Error& error) {
    if (error.code() != Code::kDataLoss) throw;
  }
  return std::nullopt;
}

}  // namespace ctrd::metadata
