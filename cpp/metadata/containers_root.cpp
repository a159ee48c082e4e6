// SPDX-License-Identifier: Apache-2.0
// The part of Containers that is about the root as a whole: owners, trash, state directory and
// schema version.
#include "base/error.h"
#include "metadata/changes.h"
#include "metadata/containers.h"
#include "metadata/fields.h"
#include "metadata/migrate.h"
#include "metadata/schema.h"

namespace ctrd::metadata {
namespace {

using store::View;

void check_same_boot(const State& known, const State& state) {
  if (known.token == state.token) return;
  bool same_path = known.path == state.path;
  Error error = failed_precondition(
      "open the root: its state directory in this boot is " + known.path + ", not " + state.path +
          (same_path ? ": the file .id in it is another one, or was lost" : ""),
      Kind::kRoot);
  throw std::move(error).with("known", known.path).with("given", state.path);
}

template <typename Record>
std::vector<std::pair<uint64_t, Record>> numbered(const View& view, const std::string& prefix,
                                                  Record (*decode)(std::string_view)) {
  std::vector<std::pair<uint64_t, Record>> records;
  view.scan_prefix(prefix, [&](std::string_view key, std::string_view value) {
    auto n = number_of(key);
    if (!n) throw damaged("key", key);
    records.emplace_back(*n, decode(value));
    return true;
  });
  return records;
}

bool is_referred(const View& view, uint64_t owner) {
  for (const std::string& ns : find_namespaces(view))
    if (any_key(view, owner_refs_prefix(ns, owner))) return true;
  return false;
}

}  // namespace

uint64_t Containers::new_owner(const Owner& owner, const Wait& wait) {
  uint64_t n = 0;
  ledger_->change(wait, [&](Changes& changes) {
    n = changes.next_number("owner");
    changes.batch().put(key_owner(n), encode(owner));
  });
  return n;
}

std::vector<std::pair<uint64_t, Owner>> Containers::owners(const Wait& wait) {
  std::vector<std::pair<uint64_t, Owner>> records;
  ledger_->read(wait,
                [&](const View& view) { records = numbered(view, owner_prefix(), decode_owner); });
  return records;
}

std::vector<std::pair<std::string, std::string>> Containers::owned(uint64_t owner,
                                                                   const Wait& wait) {
  std::vector<std::pair<std::string, std::string>> ids;
  ledger_->read(wait, [&](const View& view) {
    for (const std::string& ns : find_namespaces(view))
      view.scan_prefix(owner_ref_prefix(ns, owner), [&](std::string_view key, std::string_view) {
        ids.emplace_back(ns, id_of(key));
        return true;
      });
  });
  return ids;
}

void Containers::forget_owner(uint64_t owner, const Wait& wait) {
  ledger_->change(wait, [&](Changes& changes) {
    changes.batch().use_reserve();
    if (!changes.view().find(key_owner(owner)) || is_referred(changes.view(), owner)) return;
    changes.batch().erase(key_owner(owner));
  });
}

std::vector<std::pair<uint64_t, Trash>> Containers::trash(const Wait& wait) {
  std::vector<std::pair<uint64_t, Trash>> records;
  ledger_->read(wait,
                [&](const View& view) { records = numbered(view, trash_prefix(), decode_trash); });
  return records;
}

void Containers::check_state(const State& state, const Wait& wait) {
  ledger_->change(wait, [&](Changes& changes) {
    migrate(changes.view(), changes.batch());
    auto bytes = changes.view().find(key_state());
    if (bytes) {
      State known = decode_state(*bytes);
      if (known.boot_id == state.boot_id) return check_same_boot(known, state);
    }
    changes.batch().put(key_state(), encode(state));
  });
}

}  // namespace ctrd::metadata
