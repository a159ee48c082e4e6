// SPDX-License-Identifier: Apache-2.0
#include "engine/log_watch.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <cerrno>

#include "base/files.h"

namespace ctrd::engine {

UniqueFd watch_log(int dir) {
  UniqueFd fd(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  constexpr uint32_t kMask = IN_MODIFY | IN_CREATE | IN_DELETE_SELF;
  if (fd && ::inotify_add_watch(fd.get(), fd_path(dir).c_str(), kMask) < 0) fd.reset();
  return fd;
}

void forget_changes(UniqueFd* watch) {
  char events[4096];
  if (::read(watch->get(), events, sizeof events) < 0 && errno != EAGAIN) watch->reset();
}

}  // namespace ctrd::engine
