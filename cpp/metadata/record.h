// SPDX-License-Identifier: Apache-2.0
// The records as values, and their protozero codecs (field numbers are given here in order, from 1,
// never reused; decoders skip unknown fields, throw kDataLoss on damage). Source: semantics.md S1,
// S3.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "api/task.h"
#include "base/process.h"
#include "metadata/labels.h"

namespace ctrd::metadata {

enum class Lifetime : int { kOwner = 0, kDetached = 1 };
enum class OnExit : int { kKeep = 0, kDelete = 1 };

struct Container {
  std::string id;              // 1; not stored in the value twice: filled from the key
  std::string image;           // 2; "" for a Rootfs
  std::string rootfs;          // 3; Rootfs(path): absolute path of the user's directory, else ""
  std::string runtime_name;    // 4; "io.containerd.ctrd.v2"
  std::string runtime_binary;  // 5; options.binary_name: absolute path
  std::string snapshotter;     // 6; "overlay"
  std::string snapshot_key;    // 7
  uint64_t snapshot_number =
      0;  // 8; directory snapshots/<n>: kept beside the key so that a start needs one read
  Lifetime lifetime = Lifetime::kOwner;    // 9
  uint64_t owner = 0;                      // 10; number of its .owner record, 0 for detached
  ProcessKey owner_process;                // 11
  int64_t created_ns = 0, updated_ns = 0;  // 12, 13
  Labels labels;                           // 14
  Labels extensions;                       // 15; values are JSON
  Labels annotations;                      // 16; a copy of the spec's, so that listing parses none
  OnExit on_exit = OnExit::kKeep;          // 17; kDelete: goes when its task has ended
  api::Any runtime_options;                // 18, 19; what the shim is told, with its type
  std::string sandbox_id;                  // 20; "" for none
};
std::string encode(const Container& record);
Container decode_container(std::string_view id, std::string_view bytes);

struct Namespace {
  Labels labels;           // 1
  int64_t created_ns = 0;  // 2
};
std::string encode(const Namespace& record);
Namespace decode_namespace(std::string_view bytes);

struct Snapshot {
  uint64_t number = 0;
  int kind = 1;  // 1 active, 2 view, 3 committed
  std::string parent;
  std::string bottom;  // absolute path of a user's directory below an active one, "" if none
  int64_t created_ns = 0, updated_ns = 0;
  Labels labels;
};
std::string encode(const Snapshot& record);
Snapshot decode_snapshot(std::string_view bytes);

struct Blob {
  std::string digest;  // not stored in the value: filled from the key
  uint64_t size = 0;
  int64_t created_ns = 0, updated_ns = 0;
  Labels labels;
};
std::string encode(const Blob& record);
Blob decode_blob(std::string_view digest, std::string_view bytes);

struct Trash {
  // "snapshot" (snapshots/<name>), "logs" (logs/<name>), "blob" (content/blobs/sha256/<name>)
  std::string kind;
  std::string name;
};
std::string encode(const Trash& record);
Trash decode_trash(std::string_view bytes);

struct Owner {
  ProcessKey process;
  std::string state;  // path of the state directory whose .owners/<n> it locks
};
std::string encode(const Owner& record);
Owner decode_owner(std::string_view bytes);

struct State {
  std::string token;  // content of <state>/.id
  std::string boot_id;
  std::string path;  // of the state directory, for messages
};
std::string encode(const State& record);
State decode_state(std::string_view bytes);

std::string pack_spec(std::string_view json);     // zstd if smaller
std::string unpack_spec(std::string_view bytes);  // throws kDataLoss; at most 4 MiB

}  // namespace ctrd::metadata
