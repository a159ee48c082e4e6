// SPDX-License-Identifier: Apache-2.0
#include "metadata/schema.h"

#include <array>
#include <charconv>

namespace ctrd::metadata {
namespace {

// 16 digits, so that byte order is the order of the numbers.
std::string hex16(uint64_t n) {
  std::array<char, 16> digits;
  auto end = std::to_chars(digits.data(), digits.data() + digits.size(), n, 16).ptr;
  std::string text(digits.data(), end);
  return std::string(16 - text.size(), '0') + text;
}

std::string joined(std::string_view a, std::string_view b, std::string_view c = {}) {
  return std::string(a).append(b).append(c);
}

}  // namespace

std::string escaped_key(std::string_view key) {
  std::string text;
  for (char c : key) {
    if (c == '/')
      text += "%2F";
    else if (c == '%')
      text += "%25";
    else
      text += c;
  }
  return text;
}

std::string key_version() { return ".v"; }
std::string key_state() { return ".state"; }
std::string key_namespace(std::string_view ns) { return namespaces_prefix().append(ns); }
std::string namespaces_prefix() { return ".ns/"; }
std::string key_number(std::string_view what) { return joined(".n/", what); }
std::string key_outbox(uint64_t n) { return outbox_prefix() + hex16(n); }
std::string outbox_prefix() { return ".outbox/"; }
std::string key_trash(uint64_t n) { return trash_prefix() + hex16(n); }
std::string trash_prefix() { return ".trash/"; }
std::string key_owner(uint64_t n) { return owner_prefix() + hex16(n); }
std::string owner_prefix() { return ".owner/"; }

std::string key_blob(std::string_view ns, std::string_view digest) {
  return blob_prefix(ns).append(digest);
}
std::string blob_prefix(std::string_view ns) { return joined(ns, "/blob/"); }
std::string key_blob_holder(std::string_view digest, std::string_view ns) {
  return blob_holder_prefix(digest).append(ns);
}
std::string blob_holder_prefix(std::string_view digest) { return joined(".blob/", digest, "/"); }

std::string key_container(std::string_view ns, std::string_view id) {
  return container_prefix(ns).append(id);
}
std::string container_prefix(std::string_view ns) { return joined(ns, "/c/"); }
std::string key_spec(std::string_view ns, std::string_view id) { return joined(ns, "/s/", id); }
std::string key_snapshot(const SnapshotPlace& place) {
  return snapshot_prefix(place.ns, place.snapshotter) + escaped_key(place.key);
}
std::string snapshot_prefix(std::string_view ns, std::string_view snapshotter) {
  return snapshot_prefix(ns).append(snapshotter) + '/';
}
std::string snapshot_prefix(std::string_view ns) { return joined(ns, "/snap/"); }

std::string key_snapshot_ref(const SnapshotPlace& place, std::string_view kind,
                             std::string_view who) {
  return snapshot_ref_prefix(place).append(kind).append("/").append(escaped_key(who));
}
std::string snapshot_ref_prefix(const SnapshotPlace& place) {
  return snapshot_refs_prefix(place.ns, place.snapshotter) + escaped_key(place.key) + '/';
}
std::string snapshot_refs_prefix(std::string_view ns, std::string_view snapshotter) {
  return joined(ns, "/ref/snap/", snapshotter) + '/';
}
std::string unescaped_key(std::string_view escaped) {
  std::string key;
  for (std::size_t i = 0; i < escaped.size(); ++i) {
    bool is_slash = escaped.substr(i).starts_with("%2F");
    bool is_percent = escaped.substr(i).starts_with("%25");
    key += is_slash ? '/' : is_percent ? '%' : escaped[i];
    if (is_slash || is_percent) i += 2;
  }
  return key;
}

std::string key_owner_ref(std::string_view ns, uint64_t n, std::string_view id) {
  return owner_ref_prefix(ns, n).append(id);
}
std::string owner_ref_prefix(std::string_view ns, uint64_t n) {
  return owner_refs_prefix(ns, n) + "c/";
}
std::string owner_refs_prefix(std::string_view ns, uint64_t n) {
  return joined(ns, "/ref/owner/", hex16(n)) + '/';
}
std::string key_owner_lease(std::string_view ns, uint64_t n, std::string_view lease) {
  return owner_lease_prefix(ns, n) + escaped_key(lease);
}
std::string owner_lease_prefix(std::string_view ns, uint64_t n) {
  return owner_refs_prefix(ns, n) + "lease/";
}

std::string key_checkpoint(std::string_view ns, std::string_view name) {
  return checkpoint_prefix(ns).append(name);
}
std::string checkpoint_prefix(std::string_view ns) { return joined(ns, "/cp/"); }
std::string key_trusted(std::string_view digest) { return joined(".cp/", digest); }

std::string key_lease(std::string_view ns, std::string_view id) {
  return lease_prefix(ns) + escaped_key(id);
}
std::string lease_prefix(std::string_view ns) { return joined(ns, "/lease/"); }
std::string key_held(std::string_view ns, std::string_view lease, std::string_view object) {
  return held_prefix(ns, lease).append(object);
}
std::string held_prefix(std::string_view ns, std::string_view lease) {
  return joined(ns, "/held/") + escaped_key(lease) + '/';
}
std::string ref_prefix(std::string_view ns, std::string_view object) {
  return joined(ns, "/ref/", object) + '/';
}
std::string key_bref(std::string_view ns, std::string_view object, std::string_view other) {
  return bref_prefix(ns, object).append(other);
}
std::string bref_prefix(std::string_view ns, std::string_view object) {
  return joined(ns, "/bref/", object) + '/';
}

std::string id_of(std::string_view key) { return std::string(key.substr(key.rfind('/') + 1)); }

std::optional<uint64_t> number_of(std::string_view key) {
  std::string digits = id_of(key);
  uint64_t n = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), n, 16);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return n;
}

}  // namespace ctrd::metadata
