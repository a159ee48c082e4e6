// SPDX-License-Identifier: Apache-2.0
// Which events a stream gives, in containerd's filter language: `namespace`, `topic` and
// `event.<field>` with ==, != and ~=, or alone (it is set); a comma is "and", several filters are
// "or". ~= takes texts with ^, $ and .* for now. Source: semantics.md S4.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/values.h"

namespace ctrd::engine {

class EventFilter {
 public:
  // Throws invalid("filter") naming the position; kUnimplemented for other regular expressions. No
  // filter, and an empty one, let everything through.
  explicit EventFilter(const std::vector<std::string>& filters);
  bool matches(const EventInfo& event) const;

 private:
  enum class Op { kPresent, kEqual, kDiffers, kMatches };
  struct Condition {
    std::string field;
    Op op = Op::kPresent;
    std::string value;
  };
  friend class FilterParser;
  static bool holds(const Condition& condition, const EventInfo& event);

  std::vector<std::vector<Condition>> any_of_;
};

// Whether a text has a match of a pattern of ^, $ and .* and letters, anywhere. Throws
// kUnimplemented for what else a regular expression may have.
bool matches_simply(std::string_view pattern, std::string_view text);

}  // namespace ctrd::engine
