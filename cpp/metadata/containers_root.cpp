// SPDX-License-Identifier: Apache-2.0
// The part of Containers that is about the root as a whole: owners, trash, state directory and
// schema version.
#include "base/error.h"
#include "metadata/changes.h"
#include "metadata/containers.h"
#include "metadata/fields.h"
#include "metadata/schema.h"

namespace ctrd::metadata {
namespace {

using store::Batch;
using store::View;

std::string encode_version() { return FieldWriter().add(1, kSchemaVersion).take(); }

uint64_t decode_version(std::string_view bytes) {
  uint64_t version = 0;
  read_fields(bytes, "schema version", [&](Field field) { return field.read(1, version); });
  return version;
}

void check_version(const View& view, Batch& batch) {
  auto bytes = view.find(key_version());
  if (!bytes) return batch.put(key_version(), encode_version());
  uint64_t version = decode_version(*bytes);
  if (version == kSchemaVersion) return;
  throw failed_precondition("open the metadata: schema version " + std::to_string(version) +
                                ": this ctrd knows up to " + std::to_string(kSchemaVersion),
                            Kind::kRoot);
}

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
    if (any_key(view, owner_ref_prefix(ns, owner))) return true;
  return false;
}

}  // namespace

uint64_t Containers::new_owner(const Owner& owner, const Wait& wait) {
  uint64_t n = 0;
  ledger_->write(wait, [&](const View& view, Batch& batch) {
    n = Changes(view, batch).next_number("owner");
    batch.put(key_owner(n), encode(owner));
  });
  return n;
}

std::vector<std::pair<uint64_t, Owner>> Containers::owners(const Wait& wait) {
  std::vector<std::pair<uint64_t, Owner>> records;
  store_->read(wait,
               [&](const View& view) { records = numbered(view, owner_prefix(), decode_owner); });
  return records;
}

std::vector<std::pair<std::string, std::string>> Containers::owned(uint64_t owner,
                                                                   const Wait& wait) {
  std::vector<std::pair<std::string, std::string>> ids;
  store_->read(wait, [&](const View& view) {
    for (const std::string& ns : find_namespaces(view))
      view.scan_prefix(owner_ref_prefix(ns, owner), [&](std::string_view key, std::string_view) {
        ids.emplace_back(ns, id_of(key));
        return true;
      });
  });
  return ids;
}

void Containers::forget_owner(uint64_t owner, const Wait& wait) {
  ledger_->write(wait, [&](const View& view, Batch& batch) {
    batch.use_reserve();
    if (view.find(key_owner(owner)) && !is_referred(view, owner)) batch.erase(key_owner(owner));
  });
}

std::vector<std::pair<uint64_t, Trash>> Containers::trash(const Wait& wait) {
  std::vector<std::pair<uint64_t, Trash>> records;
  store_->read(wait,
               [&](const View& view) { records = numbered(view, trash_prefix(), decode_trash); });
  return records;
}

void Containers::forget_trash(const std::vector<uint64_t>& numbers, const Wait& wait) {
  if (numbers.empty()) return;
  store_->write(wait, [&](const View&, Batch& batch) {
    for (uint64_t n : numbers) batch.erase(key_trash(n));
    batch.relax();
  });
}

void Containers::check_state(const State& state, const Wait& wait) {
  ledger_->write(wait, [&](const View& view, Batch& batch) {
    check_version(view, batch);
    auto bytes = view.find(key_state());
    if (bytes) {
      State known = decode_state(*bytes);
      if (known.boot_id == state.boot_id) return check_same_boot(known, state);
    }
    batch.put(key_state(), encode(state));
  });
}

}  // namespace ctrd::metadata
