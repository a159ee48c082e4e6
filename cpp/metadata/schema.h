// SPDX-License-Identifier: Apache-2.0
// Every key of the store, with the type of its value. A structural change here is a migration:
// raise kSchemaVersion, write it down, and add a step to migrate.cpp.
//
//   .v                                -> varint     schema version
//   .state                            -> State      token of <state>/.id and the boot id
//   .ns/<ns>                          -> Namespace  labels, time
//   .n/<what>                         -> varint     last number given out: "snap", "owner",
//                                                   "outbox", "trash"
//   .outbox/<n, 16 hex>               -> Pending    an event on its way into the journal (outbox.h)
//   .trash/<n, 16 hex>                -> Trash      a directory to be removed (kind, name)
//   .owner/<n, 16 hex>                -> Owner      pid, start time, boot id and state path of a
//                                                   client; its lock file is <state>/.owners/<n>
//   <ns>/c/<id>                       -> Container  the record without its spec (record.h)
//   <ns>/s/<id>                       -> bytes      its spec: codec byte (0 plain, 1 zstd) and JSON
//   .blob/<digest>/<ns>               -> ""         reverse: this namespace has the blob
//   <ns>/blob/<digest>                -> Blob       size, labels, times; its bytes are in
//                                                   content/blobs/sha256/<hex>
//   <ns>/snap/<snapshotter>/<key>     -> Snapshot   number, kind, parent, labels, times
//   <ns>/ref/snap/<snapshotter>/<key>/c/<id>
//                                     -> ""         reverse: container id pins snapshot key
//   <ns>/ref/snap/<snapshotter>/<key>/snap/<child>
//                                     -> ""         reverse: a child snapshot
//   <ns>/ref/owner/<n, 16 hex>/c/<id> -> ""         reverse: records of an owner
//   <ns>/ref/owner/<n, 16 hex>/lease/<id>
//                                     -> ""         reverse: leases of an owner
//   <ns>/cp/<name>                    -> Checkpoint (checkpoints.h)
//   .cp/<digest>                      -> ""         a manifest that was made here
//   <ns>/lease/<id>                   -> Lease      labels, time, owner (leases.h)
//   <ns>/held/<lease>/<object>        -> ""         what a lease holds, there or not
//   <ns>/ref/<object>/lease/<id>      -> ""         reverse: that lease holds the object
//   <ns>/ref/<object>/label/<other>   -> ""         reverse: a label gc.ref of the other names it
//   <ns>/bref/<object>/<other>        -> ""         a label gc.bref of the other names the object
// <object> is as in references.h: c/<id>, snap/<snapshotter>/<key>, blob/<digest>, ingest/<ref> ...
// Since version 2: the rows .ns/, and the snapshotter in a snapshot's key, which was overlay.
// Since version 3: leases, and the reverse keys of labels.
//
// A namespace, an id and a snapshotter are identifiers, so none contains '/' or begins with '.'. A
// snapshot key, a lease's id and an ingest's ref may contain '/': it is escaped ('/' -> "%2F",
// '%' -> "%25").
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ctrd::metadata {

inline constexpr uint64_t kSchemaVersion = 3;

std::string key_version();
std::string key_state();
std::string key_namespace(std::string_view ns);
std::string namespaces_prefix();
std::string key_number(std::string_view what);
std::string key_outbox(uint64_t n);
std::string outbox_prefix();
std::string key_trash(uint64_t n);
std::string trash_prefix();
std::string key_owner(uint64_t n);
std::string owner_prefix();
std::string key_blob(std::string_view ns, std::string_view digest);
std::string blob_prefix(std::string_view ns);
std::string key_blob_holder(std::string_view digest, std::string_view ns);
std::string blob_holder_prefix(std::string_view digest);
std::string key_container(std::string_view ns, std::string_view id);
std::string container_prefix(std::string_view ns);
std::string key_spec(std::string_view ns, std::string_view id);
// Which snapshot: every snapshotter has keys of its own.
struct SnapshotPlace {
  std::string_view ns, snapshotter, key;
};
std::string key_snapshot(const SnapshotPlace& place);
std::string snapshot_prefix(std::string_view ns);  // of all snapshotters
std::string snapshot_prefix(std::string_view ns, std::string_view snapshotter);
std::string key_snapshot_ref(const SnapshotPlace& place, std::string_view kind,
                             std::string_view who);
std::string snapshot_ref_prefix(const SnapshotPlace& place);
std::string snapshot_refs_prefix(std::string_view ns, std::string_view snapshotter);  // of all keys
std::string escaped_key(std::string_view key);  // of a snapshot, a lease ..., as it is in a key
std::string unescaped_key(std::string_view escaped);
std::string key_owner_ref(std::string_view ns, uint64_t n, std::string_view id);
std::string owner_ref_prefix(std::string_view ns, uint64_t n);   // of its containers
std::string owner_refs_prefix(std::string_view ns, uint64_t n);  // of all that is its
std::string key_owner_lease(std::string_view ns, uint64_t n, std::string_view lease);
std::string owner_lease_prefix(std::string_view ns, uint64_t n);
std::string key_checkpoint(std::string_view ns, std::string_view name);
std::string checkpoint_prefix(std::string_view ns);
std::string key_trusted(std::string_view digest);
std::string key_lease(std::string_view ns, std::string_view id);
std::string lease_prefix(std::string_view ns);
// What a lease holds. object: path_of() of references.h.
std::string key_held(std::string_view ns, std::string_view lease, std::string_view object);
std::string held_prefix(std::string_view ns, std::string_view lease);
std::string ref_prefix(std::string_view ns, std::string_view object);
std::string key_bref(std::string_view ns, std::string_view object, std::string_view other);
std::string bref_prefix(std::string_view ns, std::string_view object);
std::string id_of(std::string_view container_key);        // last component
std::optional<uint64_t> number_of(std::string_view key);  // of an .outbox, .trash or .owner key

}  // namespace ctrd::metadata
