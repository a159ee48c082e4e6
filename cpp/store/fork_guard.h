// SPDX-License-Identifier: Apache-2.0
// What a fork()ed child must not keep: open lock files, which would hold its parent's locks. In the
// child they are closed (close(2), never LOCK_UN: that would drop the parent's lock too) and
// everything older than the fork knows itself inherited.
#pragma once

#include <cstdint>
#include <string>

namespace ctrd::store {

// Registers the atfork handlers; the first call counts.
void watch_forks();

// A number that changes in a fork()ed child. Reads memory only.
uint64_t process_generation();

// Called in the child with the fork's lock held: forget what the parent had. One slot, for the
// registry of stores.
void on_fork_in_child(void (*forget)());

// An open lock file. It is either known to the fork handlers or not open at all.
class LockFile {
 public:
  // Opened for reading and writing in dir, created 0600; a symlink is refused.
  LockFile(int dir, const std::string& name);
  ~LockFile();  // unlocks and closes, unless this process is a child that inherited it
  LockFile(const LockFile&) = delete;
  LockFile& operator=(const LockFile&) = delete;

  bool try_lock();  // false: somebody else has it
  void unlock();    // LOCK_UN, so that a copy of the descriptor on its way to exec does not keep it
  int fd() const { return fd_; }

 private:
  int fd_ = -1;
  bool locked_ = false;
  uint64_t generation_;
};

// Held while a descriptor is opened and noted, so that no fork comes between. Also guards the
// registry of stores.
class ForkLock {
 public:
  ForkLock();
  ~ForkLock();
  ForkLock(const ForkLock&) = delete;
  ForkLock& operator=(const ForkLock&) = delete;
};

}  // namespace ctrd::store
