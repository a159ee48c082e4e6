// SPDX-License-Identifier: Apache-2.0
// Space that is kept occupied, to be let go when the disk is full: without it not even a delete
// could be written. One file of the size, with its blocks, and a few empty ones for their inodes.
// Source: design.md 6.1, trap 5.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>

#include "base/error.h"
#include "base/time.h"
#include "base/unique_fd.h"

namespace ctrd::store {

bool is_full(const Error& error);  // ENOSPC or EDQUOT

// Of all processes that use the directory: any may release it, any makes it again.
class Reserve {
 public:
  // <dir>/<name> of `size` bytes, <dir>/<name>.1 to .7 empty. Touches nothing yet.
  Reserve(UniqueFd dir, std::string name, uint64_t size)
      : dir_(std::move(dir)), name_(std::move(name)), size_(size) {}

  // True: there was something to let go, so what failed may be tried again.
  bool release();
  // Makes what is missing of it if twice that is free, so that what was just released is not taken
  // again at once. Throws nothing: a disk without room is no error here. Looks at most every 0.2 s.
  void keep();

 private:
  bool complete() const;
  bool has_room() const;
  void make();

  UniqueFd dir_;
  std::string name_;
  uint64_t size_;
  std::mutex mutex_;
  TimePoint next_look_{};
};

}  // namespace ctrd::store
