// SPDX-License-Identifier: Apache-2.0
// What one store operation looks at and changes, in terms of records: reverse references and
// numbers are kept here.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/event.h"
#include "metadata/record.h"
#include "store/store.h"

namespace ctrd::metadata {

std::optional<Container> find_container(const store::View& view, std::string_view ns,
                                        std::string_view id);
// Throws kNotFound, kContainer.
Container get_container(const store::View& view, std::string_view ns, std::string_view id);
std::string get_spec(const store::View& view, std::string_view ns, std::string_view id);
bool any_key(const store::View& view, const std::string& prefix);
// In order.
std::vector<std::string> find_namespaces(const store::View& view);

using Numbered = std::pair<uint64_t, Trash>;

class Changes {
 public:
  // journal: where it ends before this batch, for the events.
  Changes(const store::View& view, store::Batch& batch, uint64_t journal = 0)
      : view_(view), batch_(batch), journal_(journal) {}

  const store::View& view() const { return view_; }
  store::Batch& batch() { return batch_; }
  uint64_t next_number(std::string_view what);
  // With every object that is written: its namespace comes into being with it. Throws for the name
  // that containerd's schema keeps for itself.
  void need_namespace(std::string_view ns);

  // Record, spec, snapshot and references. Takes the snapshot's number; throws kAlreadyExists if
  // its key is taken. base: a committed snapshot that the container's own stands upon; or one that
  // is active, and no container's: then it is that one (kFailedPrecondition).
  void add(std::string_view ns, Container& record, std::string_view packed_spec,
           const std::string& base = {});
  // The reverse of that. The snapshot goes unless something else refers to it; returns what is
  // trash now.
  std::vector<Numbered> drop(std::string_view ns, const Container& record);
  // Another snapshot for this record, "" for none; the old one goes as with drop(). Throws
  // kNotFound; kFailedPrecondition unless it is active, and no other container's.
  std::vector<Numbered> repin(std::string_view ns, Container& record, const std::string& key);
  // Tells of a change in this batch, by a message of api/event.h.
  template <typename T>
  void publish(std::string_view ns, const T& message) {
    publish(api::make_event(std::string(ns), message));
  }
  void add_owner_ref(std::string_view ns, const Container& record);
  void drop_owner_ref(std::string_view ns, const Container& record);

 private:
  void publish(const api::Event& event);
  void add_snapshot(std::string_view ns, Container& record, const std::string& parent);
  void pin(std::string_view ns, Container& record, const std::string& key, const Snapshot& there);
  std::vector<Numbered> unpin(std::string_view ns, const Container& record);
  bool has_other_refs(std::string_view ns, const Container& record) const;

  const store::View& view_;
  store::Batch& batch_;
  const uint64_t journal_;
  std::map<std::string, uint64_t, std::less<>> numbers_;
  std::string freed_;  // a snapshot key that this batch erases
};

}  // namespace ctrd::metadata
