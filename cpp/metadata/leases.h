// SPDX-License-Identifier: Apache-2.0
// Leases: who holds one keeps what it names from being collected. Each method is one store
// operation. A lease ends when it is removed, at its expiry (label containerd.io/gc.expire), and,
// if a process owns it, with that process; what it alone held goes with it. Source: semantics.md
// S7, S15.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "metadata/filter.h"
#include "metadata/ledger.h"
#include "metadata/record.h"
#include "metadata/references.h"
#include "metadata/release.h"

namespace ctrd::metadata {

struct Lease {
  std::string id = {};            // not stored in the value: filled from the key
  Labels labels = {};             // 1
  int64_t created_ns = 0;         // 2
  uint64_t owner = 0;             // 3; number of its .owner record, 0: no process's
  ProcessKey owner_process = {};  // 4
};
std::string encode(const Lease& record);
Lease decode_lease(std::string_view id, std::string_view bytes);  // throws kDataLoss
bool has_expired(const Lease& record, int64_t now_ns);

class Leases {
 public:
  explicit Leases(std::shared_ptr<Ledger> ledger) : ledger_(std::move(ledger)) {}

  // kInvalidArgument: an empty id, or one longer than 1024 bytes, or labels; kAlreadyExists.
  // created_ns is filled in.
  Lease create(std::string_view ns, Lease record, const Wait& wait);
  std::optional<Lease> find(std::string_view ns, std::string_view id, const Wait& wait);
  Lease get(std::string_view ns, std::string_view id, const Wait& wait);  // kNotFound
  // In order of ids, one view. Fields: id, labels.<key>.
  std::vector<Lease> list(std::string_view ns, const Filter& filter, const Wait& wait);
  // The object need not be there. kNotFound: the lease is not; kInvalidArgument: no digest, or a
  // snapshot without a snapshotter (and the reverse); kUnimplemented: a kind that no lease holds.
  void add(std::string_view ns, std::string_view id, const Object& object, const Wait& wait);
  // What it does not hold is fine. What it held stays, for the next collection.
  void drop(std::string_view ns, std::string_view id, const Object& object, const Wait& wait);
  std::vector<Object> resources(std::string_view ns, std::string_view id, const Wait& wait);
  // created_ns: of the one that is meant, if not whichever has the id (0). nullopt: it has gone.
  // spared: as Release; asked under the lock.
  std::optional<Released> remove(std::string_view ns, std::string_view id, const Wait& wait,
                                 int64_t created_ns = 0,
                                 const std::function<std::set<uint64_t>()>& spared = {});
  // Of one owner in all namespaces: (namespace, id).
  std::vector<std::pair<std::string, std::string>> owned(uint64_t owner, const Wait& wait);

 private:
  std::shared_ptr<Ledger> ledger_;
};

// Within a batch: the record and the keys of what it holds. Returns what it held.
std::vector<Object> erase_lease(Changes& changes, std::string_view ns, const Lease& record);

}  // namespace ctrd::metadata
