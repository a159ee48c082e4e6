// SPDX-License-Identifier: Apache-2.0
// What one store operation looks at and changes, in terms of records: reverse references and
// numbers are kept here.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/event.h"
#include "metadata/record.h"
#include "metadata/references.h"
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
class Release;

class Changes {
 public:
  // journal: where it ends before this batch, for the events.
  Changes(const store::View& view, store::Batch& batch, uint64_t journal = 0)
      : view_(view), batch_(batch), journal_(journal) {}

  const store::View& view() const { return view_; }
  store::Batch& batch() { return batch_; }
  // As the batch's, and has() knows of it: for records and reverse keys, whose end makes others go.
  void put(const std::string& key, std::string value);
  void erase(const std::string& key);
  bool has(const std::string& key) const;  // in the store, and not erased here
  bool is_gone(std::string_view key) const { return gone_.contains(key); }
  // The first key that begins so and that this batch has not erased, without the prefix.
  std::optional<std::string> first_left(const std::string& prefix) const;
  // An object's labels become `after`: the reverse keys of those that name others.
  void relabel(std::string_view ns, const Object& object, const Labels& before,
               const Labels& after);
  // With an object that is made: this lease holds it, or does not any more. "": no lease. Throws
  // kNotFound: there is no such lease.
  void join(std::string_view ns, std::string_view lease, const Object& object);
  void leave(std::string_view ns, std::string_view lease, const Object& object);
  uint64_t next_number(std::string_view what);
  // With every object that is written: its namespace comes into being with it. Throws for the name
  // that containerd's schema keeps for itself.
  void need_namespace(std::string_view ns);

  // Record, spec, snapshot and references. Takes the snapshot's number; throws kAlreadyExists if
  // its key is taken. base: a committed snapshot that the container's own stands upon; or one that
  // is active, and no container's: then it is that one (kFailedPrecondition).
  void add(std::string_view ns, Container& record, std::string_view packed_spec,
           const std::string& base = {});
  // The reverse of that. Its snapshot and what its labels name go unless something else keeps them
  // (release.h); returns what is trash now.
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
  std::vector<Numbered> unpin(std::string_view ns, const Container& record, Release& release);

  const store::View& view_;
  store::Batch& batch_;
  const uint64_t journal_;
  std::map<std::string, uint64_t, std::less<>> numbers_;
  std::set<std::string, std::less<>> gone_;  // keys that this batch erases
};

}  // namespace ctrd::metadata
