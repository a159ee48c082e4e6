// SPDX-License-Identifier: Apache-2.0
#include "store/fork_guard.h"

#include <pthread.h>
#include <sys/file.h>
#include <unistd.h>

#include <atomic>
#include <mutex>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "store/store.h"

namespace ctrd::store {
namespace {

struct Forks {
  std::mutex mutex;  // taken by the forking thread over the fork
  std::set<int> open_locks;
  std::atomic<uint64_t> generation{1};
  std::atomic<pid_t> pid{::getpid()};
  void (*forget)() = nullptr;
};

// Never destroyed: threads may still run operations while the process exits.
Forks& forks() {
  static Forks* instance = new Forks;
  return *instance;
}

void before_fork() { forks().mutex.lock(); }

void after_fork_in_parent() { forks().mutex.unlock(); }

void child_handler() {
  after_fork_in_child();
  forks().mutex.unlock();
}

}  // namespace

void watch_forks() {
  static const int failed = ::pthread_atfork(before_fork, after_fork_in_parent, child_handler);
  if (failed) throw sys_error(failed, "register the store's fork handlers");
}

uint64_t process_generation() { return forks().generation.load(std::memory_order_acquire); }

void on_fork_in_child(void (*forget)()) {
  ForkLock lock;
  forks().forget = forget;
}

// Takes no lock: the child has one thread, and its copy of the mutex is held by child_handler()
// until it is done.
void after_fork_in_child() {
  Forks& all = forks();
  if (all.pid == ::getpid()) return;  // no child, or a handler was here before
  all.pid = ::getpid();
  ++all.generation;
  for (int fd : all.open_locks) ::close(fd);
  all.open_locks.clear();
  if (all.forget) all.forget();
}

ForkLock::ForkLock() { forks().mutex.lock(); }

ForkLock::~ForkLock() { forks().mutex.unlock(); }

LockFile::LockFile(int dir, const std::string& name) : generation_(process_generation()) {
  ForkLock lock;
  UniqueFd file = open_at(dir, name, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
  forks().open_locks.insert(file.get());
  fd_ = file.release();
}

LockFile::~LockFile() {
  if (generation_ != process_generation()) return;
  unlock();
  ForkLock lock;
  forks().open_locks.erase(fd_);
  ::close(fd_);
}

bool LockFile::try_lock() { return locked_ = ctrd::try_lock(fd_); }

void LockFile::unlock() {
  if (std::exchange(locked_, false)) ::flock(fd_, LOCK_UN);
}

}  // namespace ctrd::store
