// SPDX-License-Identifier: Apache-2.0
// A checkpoint in the making, or a fork's images: under a name that shows so and locked, so that it
// has its own only once it is whole, and what a killed process has left is known and goes with the
// next recovery. 0700, for memory holds secrets.
#pragma once

#include <string>
#include <utility>

#include "engine/core.h"
#include "engine/fork.h"
#include "metadata/checkpoints.h"

namespace ctrd::engine {

class NewCheckpoint {
 public:
  // parent: path of the directory that it shall be in, at the end. It is made in the root's, from
  // where it is renamed; in parent itself only if that is another filesystem, with a note in the
  // root's of where.
  NewCheckpoint(const Core& core, const std::string& parent);
  NewCheckpoint(const NewCheckpoint&) = delete;
  ~NewCheckpoint();  // removes it, unless kept

  int dir() const { return dir_.get(); }
  std::string images() const;
  std::string layer() const;
  // Sizes and digests of what is there into the record; then manifest and spec, synced. Returns the
  // manifest's digest. Throws kResourceExhausted for one that could not be read again.
  std::string seal(metadata::Checkpoint* record, const std::string& spec, const Wait& wait);
  // In parent; an empty directory of that name makes way.
  void give_name(const std::string& name);
  void keep() { name_.clear(); }

 private:
  NewCheckpoint(UniqueFd home, UniqueFd target)
      : home_(std::move(home)), target_(std::move(target)) {}
  bool make(const std::string& elsewhere);

  UniqueFd home_, target_;  // the root's checkpoints; parent
  std::string path_, name_;
  UniqueFd parent_;    // where it is now
  LockFd dir_, note_;  // note_: in home_, if it is made elsewhere
  std::string note_name_;
};

// Directories without a record that nobody makes now.
void remove_left_checkpoints(Core& core, const Wait& wait);

}  // namespace ctrd::engine
