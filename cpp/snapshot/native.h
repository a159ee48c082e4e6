// SPDX-License-Identifier: Apache-2.0
// The native snapshotter's directories, for where overlay is missing: <root>/snapshots/<n>/fs, a
// whole copy of the parent's, made at first use. No metadata here: numbers come from the caller.
// Source: design.md 10, semantics.md S9.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/mount.h"
#include "base/time.h"
#include "base/unique_fd.h"

namespace ctrd::snapshot {

class Native {
 public:
  // dir: descriptor of <root>/snapshots, path: its absolute path. dir must outlive it.
  Native(int dir, std::string path) : dir_(dir), path_(std::move(path)) {}

  // Makes n's fs if it is absent: empty, or a copy of the parent's. It has its name only once it is
  // whole; two processes may do it at a time. Throws kNotFound without that parent.
  std::vector<Mount> active(uint64_t number, std::optional<uint64_t> parent,
                            const Wait& wait) const;
  // Only read, so it is the parent's own directory if there is one: nothing is copied.
  std::vector<Mount> view(uint64_t number, std::optional<uint64_t> parent, const Wait& wait) const;
  // The same over a directory of the user's, which is copied.
  std::vector<Mount> over(uint64_t number, int bottom, const Wait& wait) const;
  // What processes that have ended left half made.
  void remove_leftovers() const;

 private:
  void make(uint64_t number, int parent, const Wait& wait) const;  // parent's fs; -1: none
  void make_from(uint64_t number, std::optional<uint64_t> parent, const Wait& wait) const;
  std::vector<Mount> mount(uint64_t number, const char* how) const;

  int dir_;
  std::string path_;
};

}  // namespace ctrd::snapshot
