// SPDX-License-Identifier: Apache-2.0
#include "engine/fork.h"

#include <pthread.h>

#include <atomic>
#include <mutex>
#include <set>
#include <utility>

#include "base/error.h"
#include "store/store.h"

namespace ctrd::engine {
namespace {

std::atomic<uint64_t> generation{0};

// Never destroyed: a fork may come after main.
struct Registry {
  std::mutex mutex;
  std::set<int> fds;
};
Registry& registry() {
  static auto* instance = new Registry;
  return *instance;
}

void before_fork() { registry().mutex.lock(); }
void after_fork_in_parent() { registry().mutex.unlock(); }

void after_fork_in_child() {
  generation.fetch_add(1);
  for (int fd : registry().fds) ::close(fd);
  registry().fds.clear();
  registry().mutex.unlock();
  store::after_fork_in_child();
}

}  // namespace

void install_fork_handler() {
  static const int installed = [] {
    registry();
    return ::pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
  }();
  if (installed != 0) throw sys_error(installed, "install a fork handler");
}

uint64_t fork_generation() { return generation.load(); }

void check_not_forked(uint64_t made_in) {
  if (made_in == fork_generation()) return;
  throw failed_precondition(
      "this engine was made before fork(): make a new one in the child process", Kind::kFork);
}

LockFd LockFd::open(const std::function<UniqueFd()>& opener) {
  std::lock_guard lock(registry().mutex);
  UniqueFd fd = opener();
  if (fd) registry().fds.insert(fd.get());
  LockFd result;
  result.fd_ = fd.release();
  result.generation_ = fork_generation();
  return result;
}

LockFd::LockFd(LockFd&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), generation_(other.generation_) {}

LockFd& LockFd::operator=(LockFd&& other) noexcept {
  if (this == &other) return *this;
  reset();
  fd_ = std::exchange(other.fd_, -1);
  generation_ = other.generation_;
  return *this;
}

void LockFd::reset() {
  int fd = std::exchange(fd_, -1);
  if (fd < 0 || generation_ != fork_generation()) return;
  std::lock_guard lock(registry().mutex);
  registry().fds.erase(fd);
  ::close(fd);
}

}  // namespace ctrd::engine
