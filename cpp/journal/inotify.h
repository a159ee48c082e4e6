// SPDX-License-Identifier: Apache-2.0
// Private to this room: the process's one inotify instance, for all its watches of journals.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>

#include "base/unique_fd.h"

namespace ctrd::journal {

class Inotify {
 public:
  // This process's; a forked child gets its own. nullptr and errno if it cannot be had.
  static std::shared_ptr<Inotify> shared();
  explicit Inotify(UniqueFd fd) : fd_(std::move(fd)) {}

  // Watches a directory, telling this eventfd. -1 and errno.
  int add(int dir, int told);
  void remove(int watch, int told);
  // Reads what there is, and tells all.
  void drain();
  int fd() const { return fd_.get(); }

 private:
  UniqueFd fd_;
  std::mutex mutex_;
  std::map<int, int> uses_;  // of a watch: two journals may be one directory
  std::set<int> told_;
};

}  // namespace ctrd::journal
