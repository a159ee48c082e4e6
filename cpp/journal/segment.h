// SPDX-License-Identifier: Apache-2.0
// One file of the journal: <root>/journal/<position of its first byte>. A segment whose mode has
// the sticky bit is sealed: it is whole, nobody appends to it, and the next one is named by where
// it ends. That bit is set under the exclusive lock, and appending is done under the shared one, so
// a sealed segment's size is final; and no umask gives it to a new one.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/unique_fd.h"

namespace ctrd::journal {

struct Segment {
  uint64_t base = 0;
  UniqueFd fd;
};
struct SegmentFacts {
  uint64_t size = 0;
  bool sealed = false;
  bool linked = true;  // still in its directory
};

std::vector<uint64_t> segment_bases(int dir);  // ascending
SegmentFacts facts_of(const Segment& segment);
// nullopt: there is none of that base. Not a regular file: kFailedPrecondition.
std::optional<Segment> find_segment(int dir, uint64_t base, int flags);
// The one of that base, made if it is not there (another may make it at the same time).
Segment make_segment(int dir, uint64_t base);
// Under the exclusive lock.
void seal(const Segment& segment);

// What is kept, as positions in the whole journal.
struct Extent {
  uint64_t begin = 0;  // of the oldest segment
  uint64_t end = 0;    // behind the last byte of the newest
};
Extent extent_of(int dir);

}  // namespace ctrd::journal
