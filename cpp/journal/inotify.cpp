// SPDX-License-Identifier: Apache-2.0
#include "journal/inotify.h"

#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <atomic>

#include "base/files.h"

namespace ctrd::journal {
namespace {

struct Slot {
  pid_t pid;
  std::mutex mutex;
  std::weak_ptr<Inotify> instance;
};

// A child gets a new one: the inherited one may be locked by a thread that the child has not.
Slot& slot_of_this_process() {
  static std::atomic<Slot*> slot{nullptr};
  Slot* now = slot.load();
  if (now && now->pid == ::getpid()) return *now;
  auto* fresh = new Slot{::getpid(), {}, {}};
  if (slot.compare_exchange_strong(now, fresh)) return *fresh;
  delete fresh;
  return *slot.load();
}

}  // namespace

std::shared_ptr<Inotify> Inotify::shared() {
  Slot& slot = slot_of_this_process();
  std::lock_guard lock(slot.mutex);
  if (auto there = slot.instance.lock()) return there;
  UniqueFd fd(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!fd) return nullptr;
  auto made = std::make_shared<Inotify>(std::move(fd));
  slot.instance = made;
  return made;
}

int Inotify::add(int dir, int told) {
  std::lock_guard lock(mutex_);
  int watch = ::inotify_add_watch(fd_.get(), fd_path(dir).c_str(), IN_MODIFY | IN_CREATE);
  if (watch < 0) return -1;
  ++uses_[watch];
  told_.insert(told);
  return watch;
}

void Inotify::remove(int watch, int told) {
  std::lock_guard lock(mutex_);
  told_.erase(told);
  if (--uses_[watch] > 0) return;
  uses_.erase(watch);
  ::inotify_rm_watch(fd_.get(), watch);
}

void Inotify::drain() {
  std::lock_guard lock(mutex_);
  std::array<char, 4096> events;
  bool any = false;
  while (::read(fd_.get(), events.data(), events.size()) > 0) any = true;
  if (!any) return;
  for (int told : told_) ::eventfd_write(told, 1);
}

}  // namespace ctrd::journal
