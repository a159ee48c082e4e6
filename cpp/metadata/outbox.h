// SPDX-License-Identifier: Apache-2.0
// Events on their way into the journal. They go into the store in the same batch as the change that
// they tell of, and are appended after it: a process that is killed in between leaves them there
// for the next writer. Which key is done with is erased by a later batch. Source: design.md 6.3.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "store/store.h"

namespace ctrd::metadata {

struct Pending {
  uint64_t number = 0;   // of its key; the order in which they happened
  std::string event;     // api::Event, encoded
  uint64_t from = 0;     // a position of the journal: if it was appended, then behind that
  bool is_left = false;  // another process's, or an earlier one's: it may be there already
};
std::string encode(const Pending& pending);
Pending decode_pending(std::string_view bytes);  // throws kDataLoss

// Where they go.
struct Outlet {
  std::function<uint64_t()> position = {};  // where the journal ends, or ended
  // Called outside every lock, in order of numbers. Returns the numbers of those that are in the
  // journal now; what failed is tried again with a later batch. Must not throw.
  std::function<std::vector<uint64_t>(const std::vector<Pending>&)> publish = {};
};

// Reads what is left in the store. The keys that were erased are a scan's cost for long, so it
// remembers for one opening of the database below which number there is nothing.
class Backlog {
 public:
  static constexpr std::size_t kMost = 256;
  // The first ones, at most kMost, without those whose numbers are known to be done; then, unless
  // there are kMost, those that this batch adds.
  std::vector<Pending> find(const store::View& view, const std::vector<uint64_t>& done,
                            const store::Batch& batch = {});

 private:
  uint64_t opening_ = 0;
  uint64_t first_ = 0;
};

}  // namespace ctrd::metadata
