// SPDX-License-Identifier: Apache-2.0
// Which events a stream gives: containerd's filter language (metadata/filter.h) over `namespace`,
// `topic` and `event.<field>`. Source: semantics.md S4.
#pragma once

#include <string>
#include <vector>

#include "engine/values.h"
#include "metadata/filter.h"

namespace ctrd::engine {

class EventFilter {
 public:
  // Throws invalid("filter"), also for a field that no event has: who follows would wait for ever.
  explicit EventFilter(const std::vector<std::string>& filters);
  bool matches(const EventInfo& event) const;

 private:
  metadata::Filter filter_;
};

}  // namespace ctrd::engine
