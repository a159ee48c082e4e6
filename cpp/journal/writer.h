// SPDX-License-Identifier: Apache-2.0
// Appending to the journal, from any number of processes: engines and shims. Not for what an event
// says: a body is bytes here. Nothing is synced: an event outlives any process that is killed; of a
// power loss the last ones may be a victim. Source: design.md 6.3.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/time.h"
#include "journal/segment.h"

namespace ctrd::journal {

struct Limits {
  uint64_t segment_bytes = 2 << 20;  // a larger one is sealed, and the next begun
  uint64_t total_bytes = 16 << 20;   // the oldest segments beyond it are removed
};

class Writer {
 public:
  // dir: <root>/journal. Opens nothing, and keeps nothing open between appends.
  explicit Writer(UniqueFd dir, Limits limits = {}) : dir_(std::move(dir)), limits_(limits) {}

  // Appends the bodies as records, in one write.
  //   Args:    wait: for a segment that is just being sealed; the write itself is not waited for
  //   Throws:  kResourceExhausted (disk full: then some of the first bodies may be there all the
  //            same); kDeadlineExceeded; invalid for a body that is too long
  //   Thread:  safe
  void append(std::span<const std::string> bodies, const Wait& wait);
  // Where the journal ends, or some time ago ended: what is appended from now on lies behind.
  uint64_t position();

  int dir() const { return dir_.get(); }

 private:
  std::optional<Segment> open_newest();
  bool try_append(const Segment& segment, std::string_view records, const Wait& wait);
  void rotate(const Segment& segment);
  void remove_oldest();

  UniqueFd dir_;
  const Limits limits_;
  std::atomic<uint64_t> base_{kUnknown};  // of the newest segment met
  static constexpr uint64_t kUnknown = ~uint64_t{0};
};

}  // namespace ctrd::journal
