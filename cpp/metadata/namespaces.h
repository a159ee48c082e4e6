// SPDX-License-Identifier: Apache-2.0
// Namespaces as records: a name and labels. They come into being with their first object, and go
// when they are told to and empty. Source: semantics.md S5.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "metadata/labels.h"
#include "metadata/ledger.h"

namespace ctrd::metadata {

// What a namespace's labels choose for its containers.
inline constexpr const char* kDefaultSnapshotterLabel = "containerd.io/defaults/snapshotter";
inline constexpr const char* kDefaultRuntimeLabel = "containerd.io/defaults/runtime";

class Namespaces {
 public:
  explicit Namespaces(std::shared_ptr<Ledger> ledger) : ledger_(std::move(ledger)) {}

  // All throw kFailedPrecondition without a name, kInvalidArgument for one that is none.
  void create(std::string_view ns, Labels labels, const Wait& wait);  // kAlreadyExists
  std::vector<std::string> list(const Wait& wait);                    // in order
  Labels labels(std::string_view ns, const Wait& wait);               // of an unknown one: none
  // nullopt removes a label. Makes the namespace if it is not there. Returns the labels.
  Labels update(std::string_view ns, const LabelChange& change, const Wait& wait);
  // kNotFound; kFailedPrecondition naming what remains among containers and snapshots. What does
  // not block goes with it.
  void remove(std::string_view ns, const Wait& wait);

 private:
  std::shared_ptr<Ledger> ledger_;
};

}  // namespace ctrd::metadata
