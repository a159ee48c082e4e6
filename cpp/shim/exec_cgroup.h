// SPDX-License-Identifier: Apache-2.0
// A cgroup below the container's, in every hierarchy, for one exec with a deadline: what it forks
// cannot get out, not even a daemon whose parent has gone, so all of it can be killed. Source:
// design.md 7, deadlines of execs.
#pragma once

#include <string>
#include <utility>

#include "shim/event.h"

namespace ctrd::shim {

class ExecCgroup {
 public:
  ExecCgroup() = default;
  ExecCgroup(ExecCgroup&& other) noexcept
      : path_(std::exchange(other.path_, {})), name_(std::exchange(other.name_, {})) {}
  ~ExecCgroup() { remove(); }

  // name: of none that there is. Throws sys_error.
  void make(const std::string& container, std::string name);
  bool exists() const { return !path_.empty(); }
  const std::string& name() const { return name_; }  // relative to the container's
  // SIGKILLs until nothing is left in it, at most until the deadline. A frozen container's end only
  // when it is thawed.
  asio::awaitable<void> kill(TimePoint deadline);
  // If it is empty. False: something is in it (or the kernel has not let go of it yet).
  bool remove();

 private:
  std::string path_, name_;
};

}  // namespace ctrd::shim
