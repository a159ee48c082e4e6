// SPDX-License-Identifier: Apache-2.0
// Who owns containers and leases: this process has one number per state directory, and holds the
// lock of <state>/.owners/<n> for its life. The lock is what says that an owner lives: it is let go
// however the process ends. Source: design.md 3.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>

#include "engine/fork.h"
#include "engine/root.h"
#include "metadata/containers.h"
#include "metadata/leases.h"

namespace ctrd::engine {

class Owner {
 public:
  // This process's owner for that state directory: engines on one root share it.
  static std::shared_ptr<Owner> join(const Root& root);
  // Made with the first container that has an owner: one store operation, once in a process.
  uint64_t number(const Root& root, metadata::Containers& containers, const Wait& wait);
  bool is_ours(uint64_t number) const;
  // An engine ends. The last one to be closed gives the number back if no record refers to it.
  void leave() noexcept;
  void leave(const Root& root, metadata::Containers& containers, metadata::Leases& leases,
             const Wait& wait);

 private:
  mutable std::timed_mutex mutex_;
  int engines_ = 0;
  uint64_t number_ = 0;
  LockFd lock_;
};

// Its lock is free; without a lock file (just being made, or lost) its process decides.
bool owner_is_dead(const Root& root, uint64_t number, const ProcessKey& process);

}  // namespace ctrd::engine
