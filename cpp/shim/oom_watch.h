// SPDX-License-Identifier: Apache-2.0
// Tells when the kernel kills a process of this cgroup for want of memory: v1 by an eventfd on
// memory.oom_control, v2 by polling memory.events. No inotify: there are few instances of that for
// all shims of a machine. Source: shim-protocol.md 4.5.
#pragma once

#include <boost/asio/posix/stream_descriptor.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "shim/event.h"

namespace ctrd::shim {

class OomWatch {
 public:
  // count: how many were killed so far. killed: called with that each time that it has grown. A
  // cgroup that cannot be watched is none: then the count is only looked at in the end.
  OomWatch(asio::io_context& loop, const std::string& cgroups_path, std::function<uint64_t()> count,
           std::function<void(uint64_t)> killed);
  OomWatch(const OomWatch&) = delete;
  ~OomWatch();

 private:
  struct State;
  static asio::awaitable<void> run(std::shared_ptr<State> state);
  static asio::awaitable<void> look(std::shared_ptr<State> state);

  std::shared_ptr<State> state_;
};

}  // namespace ctrd::shim
