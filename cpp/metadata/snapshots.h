// SPDX-License-Identifier: Apache-2.0
// Snapshot records: states, parents, references, each operation one batch. Pure metadata: what is
// on disk is numbered directories, and the room snapshot's. Source: semantics.md S9.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "metadata/changes.h"
#include "metadata/filter.h"
#include "metadata/ledger.h"

namespace ctrd::metadata {

// A label of prepare and view: they are not needed if the snapshot that it names is there.
inline constexpr const char* kSnapshotRefLabel = "containerd.io/snapshot.ref";

// Snapshotters, as they are in keys.
inline constexpr const char* kOverlay = "overlay";
inline constexpr const char* kNative = "native";

// Snapshot::kind
enum SnapshotKind : int { kActive = 1, kView = 2, kCommitted = 3 };

class Snapshots {
 public:
  // One snapshotter's: each has keys of its own in each namespace.
  // lease: what is made belongs to it, also what was there already (""; kNotFound: there is no such
  // lease). By commit the name joins it, and the key leaves it.
  Snapshots(std::shared_ptr<Ledger> ledger, std::string snapshotter, std::string lease = {})
      : ledger_(std::move(ledger)),
        snapshotter_(std::move(snapshotter)),
        lease_(std::move(lease)) {}

  // A new layer upon a committed one, or upon nothing (""): kActive, or kView, which is only read.
  // Throws kAlreadyExists: key is used, or what kSnapshotRefLabel names is there; kNotFound: parent
  // is not; kInvalidArgument: it is not committed.
  Snapshot prepare(std::string_view ns, const std::string& key, const std::string& parent,
                   Labels labels, const Wait& wait);
  Snapshot view(std::string_view ns, const std::string& key, const std::string& parent,
                Labels labels, const Wait& wait);
  // An active one becomes `name`; its key is free afterwards, its labels are those given. parent:
  // for one that has none. Throws kAlreadyExists: name is used; kNotFound; kFailedPrecondition: not
  // active, or a container's; kInvalidArgument: another parent.
  // number: the one that is meant, if not whichever has the key (0); kAborted otherwise.
  Snapshot commit(std::string_view ns, const std::string& name, const std::string& key,
                  Labels labels, const Wait& wait, const std::string& parent = {},
                  uint64_t number = 0);
  // nullopt: there is none.
  std::optional<Snapshot> find(std::string_view ns, const std::string& key, const Wait& wait);
  Snapshot stat(std::string_view ns, const std::string& key, const Wait& wait);  // kNotFound
  // In order of keys, one view.
  std::vector<std::pair<std::string, Snapshot>> list(std::string_view ns, const Filter& filter,
                                                     const Wait& wait);
  // Labels only; fields: containerd's paths, labels and labels.<key>, as for containers.
  Snapshot update(std::string_view ns, const std::string& key, const LabelChange& labels,
                  const Wait& wait, const std::optional<std::vector<std::string>>& fields = {});
  // Throws kNotFound; kFailedPrecondition: others stand upon it, or it is a container's; what
  // check does, which is asked under the lock. What its labels alone kept goes with it. Returns
  // what is trash now.
  std::vector<Numbered> remove(std::string_view ns, const std::string& key, const Wait& wait,
                               uint64_t number = 0, const std::function<void()>& check = {});
  // Keys that a container has, with its id.
  std::map<std::string, std::string> holders(std::string_view ns, const Wait& wait);
  std::optional<std::string> holder(std::string_view ns, const std::string& key, const Wait& wait);
  // Of one and what it stands upon, top first: its record and then its parents'. One view.
  std::vector<Snapshot> chain(std::string_view ns, const std::string& key, const Wait& wait);

 private:
  Snapshot make(SnapshotKind kind, std::string_view ns, const std::string& key,
                const std::string& parent, Labels labels, const Wait& wait);

  std::shared_ptr<Ledger> ledger_;
  const std::string snapshotter_, lease_;
};

}  // namespace ctrd::metadata
