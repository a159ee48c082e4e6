// SPDX-License-Identifier: Apache-2.0
// A checkpoint's directory:
//   manifest     version byte, metadata::Checkpoint: what it was made of, sizes and digests
//   spec.json    the container's stored spec
//   images/      CRIU's        layer/   the container's own files
// It is made under another name and locked, so that it has its own only once it is whole, and what
// a killed process has left is known. 0700, for memory holds secrets.
#pragma once

#include <string>
#include <vector>

#include "engine/core.h"
#include "engine/fork.h"
#include "metadata/checkpoints.h"

namespace ctrd::engine {

inline constexpr const char* kCheckpointsDir = "checkpoints";  // of a root: the stored ones
inline constexpr const char* kImagesDir = "images";
inline constexpr const char* kLayerDir = "layer";

inline metadata::Checkpoints checkpoints(const Core& core) {
  return metadata::Checkpoints(core.containers.ledger());
}

class NewCheckpoint {
 public:
  // path: of the directory that it shall be in.
  explicit NewCheckpoint(const std::string& path);
  NewCheckpoint(const NewCheckpoint&) = delete;
  ~NewCheckpoint();  // removes it, unless it has its name

  int dir() const { return dir_.get(); }
  std::string images() const { return path_ + "/" + hidden_ + "/" + kImagesDir; }
  std::string layer() const { return path_ + "/" + hidden_ + "/" + kLayerDir; }
  // Sizes and digests of what is there into the record; then manifest and spec, and its name. An
  // empty directory of that name makes way. Returns the manifest's digest.
  std::string seal(metadata::Checkpoint* record, const std::string& spec, const std::string& name);
  // Another try, under another name: it is removed at the end.
  void keep() { hidden_.clear(); }

 private:
  std::string path_, hidden_;
  UniqueFd parent_;
  LockFd dir_;
};

struct Sealed {
  UniqueFd dir;
  std::string path;
  metadata::Checkpoint record;
  std::string spec, digest;  // of the manifest
};
// Throws kNotFound (kCheckpoint), kDataLoss: it is damaged. No link is followed inside.
Sealed open_checkpoint(const std::string& path);
// kImagesDir, kLayerDir: throws kDataLoss if it is missing, or a link.
UniqueFd open_part(const Sealed& sealed, const char* name);
// Its images are what they were: throws kDataLoss naming the file.
void check_images(const Sealed& sealed, const Wait& wait);
// Nobody else can change it, or put another one in its place: it is 0700, and from / on all
// directories are root's or ours, and written by nobody else unless they are sticky.
bool is_private(const Sealed& sealed);

std::string checkpoints_path(const Core& core);  // made if absent
void remove_checkpoint_dir(const Core& core, uint64_t number);
// Directories without a record that nobody makes now.
void remove_left_checkpoints(Core& core, const Wait& wait);

}  // namespace ctrd::engine
