// SPDX-License-Identifier: Apache-2.0
// The overlay snapshotter's directories: <root>/snapshots/<n>/{fs,work}, made at first use, and the
// mounts that a shim makes of them. No metadata here: numbers and parents come from the caller.
// Source: design.md 10, semantics.md S9.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/mount.h"

namespace ctrd::snapshot {

// root_dir: descriptor of <root>/snapshots; root_path: its absolute path.
class Overlay {
 public:
  Overlay(int snapshots_dir, std::string snapshots_path);
  // Makes n's directories if absent (fs gets the bottom's root mode and owner) and returns the
  // mounts of an active snapshot over `lowers` (top first). Each lower must be an absolute path of
  // a directory: kNotFound/kInvalidArgument naming "rootfs". ':' '\\' and ',' in paths are escaped
  // as overlay wants.
  // Nothing in a layer leads out of it: redirects and metacopies are not followed, nor made.
  std::vector<Mount> active(uint64_t number, const std::vector<std::string>& lowers) const;
  // Of these layers, at least one, to be read only.
  std::vector<Mount> view(const std::vector<std::string>& layers) const;
  // Of nothing: n's own directory, made if absent.
  std::vector<Mount> empty_view(uint64_t number) const;

 private:
  void make_dirs(const std::string& name, int bottom) const;

  int dir_;
  std::string path_;
};

}  // namespace ctrd::snapshot
