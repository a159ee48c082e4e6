// SPDX-License-Identifier: Apache-2.0
// Waiting until something may have been appended to a journal. All watches of a process share one
// inotify instance (a machine has few); who reads its events tells the others. Where there is none,
// waiting is looking again every 100 ms.
#pragma once

#include <memory>

#include "base/time.h"
#include "base/unique_fd.h"

namespace ctrd::journal {

class Inotify;

class Watch {
 public:
  // dir: <root>/journal. Never fails: without inotify or descriptors it only waits.
  explicit Watch(int dir);
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  // Forgets what has happened until now. Then look at the journal, then wait.
  void clear();
  // Makes fd() readable: there was something.
  void touch();
  // Until something happens, for at most 100 ms and not beyond wait's deadline. Throws what its
  // `interrupted` throws.
  void wait(const Wait& wait);
  // For poll(2) and event loops: readable at first, and
  // once something has happened since clear(). Belongs to
  // this object. Throws kResourceExhausted without inotify or descriptors.
  int fd();

 private:
  std::shared_ptr<Inotify> inotify_;  // null: there is none
  int watch_ = -1;
  UniqueFd told_;  // an eventfd: another watch has read the events
  UniqueFd both_;  // an epoll of the two, for fd()
  int error_ = 0;  // why there is none
  pid_t pid_;      // a forked child leaves what is shared alone
};

}  // namespace ctrd::journal
