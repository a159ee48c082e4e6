// SPDX-License-Identifier: Apache-2.0
// Container records: create, get, list, update, delete, each one store operation. Pure metadata: no
// directory, no task, no process here.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "metadata/ledger.h"
#include "metadata/record.h"
#include "store/store.h"

namespace ctrd::metadata {

struct Created {
  Container record;
  std::optional<Container> replaced;              // what replace=true removed in the same batch
  std::vector<std::pair<uint64_t, Trash>> trash;  // of the replaced one, as in Removed
};
struct Full {
  Container record;
  std::string spec;  // JSON
};
struct Removed {
  Container record;
  std::vector<std::pair<uint64_t, Trash>> trash;  // directories to remove, with their trash keys
};

class Containers {
 public:
  explicit Containers(const std::shared_ptr<store::Store>& store)
      : ledger_(std::make_shared<Ledger>(store)) {}
  // What the records of this root are written by.
  const std::shared_ptr<Ledger>& ledger() const { return ledger_; }

  // Writes record, spec, snapshot record (active, key = id, number from the store, bottom =
  // record.rootfs) and reverse references in one batch. created_ns, updated_ns, snapshot_* and
  // number are filled in. base: as Changes::add. `replaces`: called under the lock with an existing
  // record of that id; false (or empty function): kAlreadyExists (Kind::kContainer). Before the
  // first verb of a root, or after a reboot: see check_state.
  Created create(std::string_view ns, Container record, std::string_view spec, const Wait& wait,
                 const std::function<bool(const Container&)>& replaces = {},
                 const std::string& base = {});
  std::optional<Container> find(std::string_view ns, std::string_view id, const Wait& wait);
  // Throws kNotFound (Kind::kContainer): "container "<id>": not found in namespace <ns>".
  Container get(std::string_view ns, std::string_view id, const Wait& wait);
  Full get_full(std::string_view ns, std::string_view id, const Wait& wait);  // one store operation
  // In key order, one view; only those that are `wanted`, asked under the lock (empty: all).
  std::vector<Container> list(std::string_view ns, const Wait& wait,
                              const std::function<bool(const Container&)>& wanted = {});
  // What is not named stays; nullopt removes a key. Source: semantics.md S1.
  struct Change {
    LabelChange labels = {}, annotations = {}, extensions = {};
    std::optional<std::string> image = {};
    std::optional<std::string> snapshot_key = {};  // Changes::repin
    // Spec in, spec out; what this throws is thrown.
    std::function<std::string(std::string)> respec = {};
    // Annotations of the new spec, instead of `annotations`.
    std::function<Labels(std::string_view)> annotations_of = {};
    std::optional<Lifetime> lifetime = {};           // kDetached clears the owner
    std::function<bool(const Container&)> may = {};  // asked under the lock; false: kAborted
    // containerd's mask: just what these paths name becomes what is given here, or nothing:
    // labels, labels.<key>, spec, extensions, extensions.<key>, image, snapshotkey; no path: all
    // of them. Another path: kInvalidArgument, after kNotFound.
    std::optional<std::vector<std::string>> fields = {};
  };
  // trash: gets what the old snapshot left, as in Removed.
  Container update(std::string_view ns, std::string_view id, const Change& change, const Wait& wait,
                   std::vector<std::pair<uint64_t, Trash>>* trash = nullptr);
  // Removes record, spec, references; the snapshot goes when nothing else refers to it (its trash
  // key in the same batch). `may`: asked under the lock with the record as it is now; false:
  // nothing is removed and nullopt returned. Absent: nullopt too.
  std::optional<Removed> remove(std::string_view ns, std::string_view id, const Wait& wait,
                                const std::function<bool(const Container&)>& may = {});

  uint64_t new_owner(const Owner& owner, const Wait& wait);
  std::vector<std::pair<uint64_t, Owner>> owners(const Wait& wait);
  // Records of one owner in all namespaces: (namespace, id).
  std::vector<std::pair<std::string, std::string>> owned(uint64_t owner, const Wait& wait);
  // Does nothing while a record refers to it.
  void forget_owner(uint64_t owner, const Wait& wait);

  std::vector<std::pair<uint64_t, Trash>> trash(const Wait& wait);
  // As Ledger's.
  void forget_trash(const std::vector<uint64_t>& numbers, const Wait& wait) {
    ledger_->forget_trash(numbers, wait);
  }
  void forget_trash_later(const std::vector<uint64_t>& numbers) {
    ledger_->forget_trash_later(numbers);
  }
  void set_outlet(Outlet outlet) { ledger_->set_outlet(std::move(outlet)); }
  void publish_left(const Wait& wait) { ledger_->publish_left(wait); }

  // design.md 10: the root's state directory by token and boot id. First use or another boot id:
  // takes the new token. Same boot id and another token: kFailedPrecondition (kRoot) naming both
  // paths. Also writes/checks the schema version (newer: kFailedPrecondition).
  void check_state(const State& state, const Wait& wait);

 private:
  std::shared_ptr<Ledger> ledger_;
};

}  // namespace ctrd::metadata
