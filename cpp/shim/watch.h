// SPDX-License-Identifier: Apache-2.0
// Watches another process through a pidfd: calls back once when it has ended.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>
#include <optional>

#include "base/unique_fd.h"

namespace ctrd::shim {

class Watch {
 public:
  // fd: a pidfd; /dev/null (or anything else that cannot be polled) watches nobody.
  Watch(boost::asio::io_context& loop, UniqueFd fd, std::function<void()> gone);
  void stop();
  bool active() const { return pidfd_.has_value(); }

 private:
  std::optional<boost::asio::posix::stream_descriptor> pidfd_;
};

}  // namespace ctrd::shim
