// SPDX-License-Identifier: Apache-2.0
// Reading the journal from any position on, over segments, past damage. Takes no lock: what is not
// whole yet is looked at again by the next call. Waiting for more is Watch's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "journal/segment.h"

namespace ctrd::journal {

struct Record {
  uint64_t seq = 0;  // the position behind it: reading from there gives what came after
  std::string body;
};

class Reader {
 public:
  // dir: <root>/journal. Gives every record with seq > after, in order.
  //   Throws:  kNotFound if some of those are no longer kept, or `after` lies behind the end
  Reader(UniqueFd dir, uint64_t after);
  // Gives those that begin behind a position that may be anywhere, at the earliest the oldest kept.
  static Reader near(UniqueFd dir, uint64_t position);
  // nullopt: nothing more now. Throws kNotFound when it was so slow that the next one is gone.
  std::optional<Record> next();
  // Bytes that were no record, and places where that was.
  uint64_t skipped_bytes() const { return skipped_bytes_; }
  uint64_t skipped_places() const { return skipped_places_; }
  uint64_t position() const { return position_; }

 private:
  explicit Reader(UniqueFd dir) : dir_(std::move(dir)) {}
  bool open_segment(uint64_t base);
  bool open_first();
  std::optional<Record> next_here();
  bool fill(std::size_t least);
  void skip(std::size_t bytes);
  bool shared();
  bool go_on();

  UniqueFd dir_;
  std::optional<Segment> segment_;
  uint64_t after_ = 0;
  uint64_t position_ = 0;  // of what comes next
  std::string buffer_;     // what follows position_ in the segment, as far as it was read
  std::size_t begin_ = 0;  // of buffer_: what is consumed
  bool in_damage_ = false;
  uint64_t skipped_bytes_ = 0, skipped_places_ = 0;
};

// Which of these occur in what is kept, from that position on: for ids that occur nowhere else.
std::vector<bool> mentioned(int dir, const std::vector<std::string>& ids, uint64_t from);

}  // namespace ctrd::journal
