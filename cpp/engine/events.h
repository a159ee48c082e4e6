// SPDX-License-Identifier: Apache-2.0
// What the engine writes into the journal: the events of its own batches, after them, and what
// shims that were killed have not told of their tasks. Nothing here fails a verb: what cannot be
// appended stays in the store's outbox, or is logged. Reading: event_stream.h.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "api/bundle.h"
#include "api/event.h"
#include "journal/writer.h"
#include "metadata/outbox.h"

namespace ctrd::engine {

class Events {
 public:
  // dir: <root>/journal.
  explicit Events(UniqueFd dir) : writer_(std::move(dir)) {}

  metadata::Outlet outlet();
  // Those whose ids the journal does not have yet, in this order. False: it failed, and is logged.
  bool append_new(const std::vector<api::Event>& events);
  int dir() const { return writer_.dir(); }

 private:
  std::vector<uint64_t> publish(const std::vector<metadata::Pending>& pending);
  int64_t oldest_ns();

  journal::Writer writer_;
};

// What a task has gone through by these files, up to its end, and what its deletion will be. Made
// from the files of a bundle whose shim is gone; ids are those that the shim gave or would have
// given.
struct TaskStory {
  std::vector<api::Event> until_exit;  // create, perhaps start, exit
  api::Event deleted;
};
TaskStory story_of(const std::string& ns, const std::string& id, const std::string& bundle,
                   const api::StatusFile& status, const api::ExitFile& exit);

}  // namespace ctrd::engine
