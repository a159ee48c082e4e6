// SPDX-License-Identifier: Apache-2.0
// SIGCHLD, SIGTERM and SIGINT as events of the loop (a signalfd: no handler ever runs), and the
// process's own settings.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>

#include "base/unique_fd.h"

namespace ctrd::shim {

class Signals {
 public:
  // Blocks the three in this thread, and undoes whatever a parent did to SIGCHLD and SIGPIPE.
  explicit Signals(boost::asio::io_context& loop);
  // Calls back at each, for ever.
  boost::asio::awaitable<void> run(std::function<void()> child_ended,
                                   std::function<void()> told_to_end);

 private:
  boost::asio::posix::stream_descriptor fd_;
};

}  // namespace ctrd::shim
