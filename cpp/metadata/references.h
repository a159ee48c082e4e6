// SPDX-License-Identifier: Apache-2.0
// Objects as others refer to them, and what containerd's garbage labels say: which object keeps
// which. Each such label has a reverse key, which comes and goes with it (Changes::relabel).
// Source: semantics.md S8.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "metadata/labels.h"

namespace ctrd::metadata {

inline constexpr std::string_view kExpireLabel = "containerd.io/gc.expire";
inline constexpr std::string_view kFlatLabel = "containerd.io/gc.flat";
inline constexpr std::string_view kRootLabel = "containerd.io/gc.root";

enum class ObjectKind { kContainer, kImage, kContent, kIngest, kSnapshot, kLease, kCheckpoint };

// In one namespace.
struct Object {
  ObjectKind kind{};
  std::string key;
  std::string snapshotter = {};  // of a snapshot
  auto operator<=>(const Object&) const = default;
};

// "container", "content" ...; a snapshot's is "snapshot".
std::string_view word_of(ObjectKind kind);
// Throws invalid("kind", ...).
ObjectKind kind_of(std::string_view word);
// As in messages and explanations: snapshot "work" (overlay).
std::string named(const Object& object);

// As in keys: c/<id>, image/<name>, blob/<digest>, ingest/<ref>, snap/<snapshotter>/<key>,
// lease/<id>, cp/<name>; what may contain '/' is escaped.
std::string path_of(const Object& object);
std::optional<Object> object_at(std::string_view path);
// The key of its record; "" for what has none (ingests) or is not there yet (images).
std::string record_key(std::string_view ns, const Object& object);

// A label that makes one object keep another.
struct LabelRef {
  std::string label;
  Object object;
  bool is_back = false;  // gc.bref: the named object keeps the one that has the label
};
// Values that name nothing, and other labels, are left out.
std::vector<LabelRef> label_refs(const Labels& labels);
// The keys that go with an object's labels.
std::vector<std::string> label_keys(std::string_view ns, const Object& object,
                                    const Labels& labels);

// RFC 3339, ns since 1970. nullopt: it is not a time.
std::optional<int64_t> parse_time(std::string_view text);
// What the label gc.expire says; nullopt for none, and for what is not a time.
std::optional<int64_t> expiry_of(const Labels& labels);

}  // namespace ctrd::metadata
