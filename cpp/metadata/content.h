// SPDX-License-Identifier: Apache-2.0
// Records of blobs: which namespace has which content, of what size, with which labels. Each method
// is one store operation. The bytes are room content's, which sees to it that they are durable
// before a record says so. Source: semantics.md S3, S10.
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
#include "metadata/ledger.h"
#include "metadata/record.h"

namespace ctrd::metadata {

class ContentRecords {
 public:
  explicit ContentRecords(std::shared_ptr<Ledger> ledger) : ledger_(std::move(ledger)) {}

  // Everywhere: kInvalidArgument for what is no namespace, no digest or no labels.
  std::optional<Blob> find(std::string_view ns, std::string_view digest, const Wait& wait);
  Blob get(std::string_view ns, std::string_view digest, const Wait& wait);  // throws kNotFound
  // Any other namespace's record of it.
  std::optional<Blob> find_elsewhere(std::string_view ns, std::string_view digest,
                                     const Wait& wait);
  // The blob is durable already, or `shared`: then only as long as another namespace has it
  // (kNotFound otherwise). Throws kAlreadyExists. Times are filled in. lease: it joins it, also one
  // that is there already (kNotFound: there is no such lease); ref: the ingest that it was, which
  // leaves it.
  Blob add(std::string_view ns, Blob record, bool shared, const Wait& wait,
           std::string_view lease = {}, const std::string& ref = {});
  // This namespace's record, nullopt if there is none; lease: it joins it if it is there, and if it
  // is not, an ingest of this ref that is to become it.
  std::optional<Blob> find_for(std::string_view ns, const std::optional<std::string>& digest,
                               std::string_view lease, const std::string& ref, const Wait& wait);
  // In order of digests, one view; only those that are `wanted`, asked under the lock.
  std::vector<Blob> list(std::string_view ns, const Wait& wait,
                         const std::function<bool(const Blob&)>& wanted = {});
  // nullopt removes a label. Throws kNotFound.
  Blob update(std::string_view ns, std::string_view digest, const LabelChange& labels,
              const Wait& wait);
  // Throws kNotFound. What its labels alone kept goes with it. Returns what is trash now: its bytes
  // too, first, if no other namespace has it.
  std::vector<Numbered> remove(std::string_view ns, std::string_view digest, const Wait& wait);
  // Some namespace has it.
  bool is_held(std::string_view digest, const Wait& wait);
  // A lease that has not expired holds this ingest.
  bool is_leased(std::string_view ns, const std::string& ref, const Wait& wait);

  void forget_trash_later(uint64_t number) { ledger_->forget_trash_later({number}); }

 private:
  std::shared_ptr<Ledger> ledger_;
};

}  // namespace ctrd::metadata
