// SPDX-License-Identifier: Apache-2.0
// What one store operation looks at and changes, in terms of records: reverse references and
// numbers are kept here.
#pragma once

#include <functional>
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
  bool has(const std::string& key) const;  // in the store as this batch will leave it
  bool is_gone(std::string_view key) const { return gone_.contains(key); }
  // Keys that begin so in the store as this batch will leave it, without the prefix; those that it
  // puts come last. Until f says false.
  void scan_left(const std::string& prefix, const std::function<bool(std::string_view)>& f) const;
  bool any_left(const std::string& prefix) const;
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
  // Both, for a container in the place of one of its id: of what that had, base and what the new
  // one's labels name stay. Throws as add().
  std::vector<Numbered> replace(std::string_view ns, const Container& there, Container& record,
                                std::string_view packed_spec, const std::string& base);
  // Another snapshot for this record, "" for none; the old one is considered by release, which the
  // caller runs once all is put. Throws kNotFound; kFailedPrecondition unless it is active, and no
  // other container's.
  void repin(std::string_view ns, Container& record, const std::string& key, Release& release);
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
  std::optional<Snapshot> find_base(std::string_view ns, const Container& record,
                                    const std::string& base) const;
  void pin(std::string_view ns, Container& record, const std::string& key, const Snapshot& there);
  void unpin(std::string_view ns, const Container& record, Release& release);
  void end(std::string_view ns, const Container& record, Release& release);

  const store::View& view_;
  store::Batch& batch_;
  const uint64_t journal_;
  std::map<std::string, uint64_t, std::less<>> numbers_;
  std::set<std::string, std::less<>> put_, gone_;  // keys that this batch puts, and erases
};

}  // namespace ctrd::metadata
