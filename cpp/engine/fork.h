// SPDX-License-Identifier: Apache-2.0
// What must not survive a fork(): descriptors that hold locks (or listen) are closed in the child,
// or a child that outlives its killed parent would keep the parent's locks, and so its containers,
// alive. Engines made before the fork refuse. Source: design.md 3.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

#include "base/unique_fd.h"

namespace ctrd::engine {

// Once per process, before the first lock is taken. Installs the pthread_atfork handlers.
void install_fork_handler();
// 0 in a process that never was a fork()ed child of one with the handler; one more in each such
// child.
uint64_t fork_generation();
// Throws kFailedPrecondition/kFork unless the generation is still this one.
void check_not_forked(uint64_t generation);

// The T of this process: a forked child gets a new one, for the inherited one may be locked by a
// thread that the child does not have. Never destroyed.
template <typename T>
T& per_process() {
  struct Slot {
    uint64_t generation = fork_generation();
    T value;
  };
  static std::atomic<Slot*> slot{new Slot};
  Slot* now = slot.load();
  if (now->generation == fork_generation()) return now->value;
  auto* fresh = new Slot;
  if (slot.compare_exchange_strong(now, fresh)) return fresh->value;
  delete fresh;
  return now->value;
}

// A descriptor that a forked child closes: owner locks, bundle claims, listening sockets.
class LockFd {
 public:
  LockFd() = default;
  // No fork can happen between the opening and the registration.
  static LockFd open(const std::function<UniqueFd()>& opener);
  LockFd(LockFd&& other) noexcept;
  LockFd& operator=(LockFd&& other) noexcept;
  ~LockFd() { reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  void reset();

 private:
  int fd_ = -1;
  uint64_t generation_ =
      0;  // in a later one the handler has closed it, and the number may be another's
};

}  // namespace ctrd::engine
