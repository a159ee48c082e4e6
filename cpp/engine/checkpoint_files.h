// SPDX-License-Identifier: Apache-2.0
// A checkpoint's directory:
//   manifest     version byte, metadata::Checkpoint: what it was made of, sizes and digests
//   spec.json    the container's stored spec
//   images/      CRIU's        layer/   the container's own files
// The manifest's digest, with the spec's, seals all of it. How one is made: new_checkpoint.h.
#pragma once

#include <string>
#include <vector>

#include "engine/core.h"
#include "metadata/checkpoints.h"

namespace ctrd::engine {

inline constexpr const char* kCheckpointsDir = "checkpoints";  // of a root: the stored ones
inline constexpr const char* kImagesDir = "images";
inline constexpr const char* kLayerDir = "layer";

inline metadata::Checkpoints checkpoints(const Core& core) {
  return metadata::Checkpoints(core.containers.ledger());
}

struct Sealed {
  UniqueFd dir;
  std::string path;  // without links, when it was opened
  metadata::Checkpoint record;
  std::string spec, digest;  // of the manifest
};
// Throws kNotFound (kCheckpoint), kDataLoss: it is damaged. No link is followed inside.
Sealed open_checkpoint(const std::string& path);
// kImagesDir, kLayerDir: throws kDataLoss if it is missing, or a link.
UniqueFd open_part(const Sealed& sealed, const char* name);
// Its images and its layer are what they were: throws kDataLoss naming the file.
void check_parts(const Sealed& sealed, const Wait& wait);
// Nobody else can change it, or put another one in the place of its path: it is 0700, and from / on
// all are directories, root's or ours, and written by nobody else unless they are sticky.
bool is_private(const Sealed& sealed);

// What a manifest says of its parts. The sums of sizes are added to total.
std::string list_images(int dir, uint64_t* total, const Wait& wait);
std::string digest_layer(int dir, uint64_t* total, const Wait& wait);
// Manifest and spec, synced with what is there. Returns their digest. Throws kResourceExhausted:
// the manifest is too big to be read again.
std::string write_sealed(int dir, const metadata::Checkpoint& record, const std::string& spec);

std::string checkpoints_path(const Core& core);  // made if absent
// As long as this is there its directory stays, if not its name. Throws kNotFound (kCheckpoint).
LockFd use_checkpoint(const Sealed& sealed, const Wait& wait);
// Its name goes at once, the rest when nobody uses it any more, or with a recovery.
void remove_checkpoint_dir(const Core& core, uint64_t number, const Wait& wait);
// It is the directory of one that is stored here, in whatever namespace.
bool is_stored(Core& core, const Sealed& sealed, const Wait& wait);

}  // namespace ctrd::engine
