// SPDX-License-Identifier: Apache-2.0
#include "shim/signals.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>

#include "base/error.h"

namespace ctrd::shim {
namespace {

int open_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (int signal : {SIGCHLD, SIGTERM, SIGINT}) sigaddset(&set, signal);
  std::signal(SIGCHLD, SIG_DFL);  // an ignored one would reap for us
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // a full log is an error of write, not our end
  if (::sigprocmask(SIG_BLOCK, &set, nullptr) < 0) throw sys_error("blocking signals");
  int fd = ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  if (fd < 0) throw sys_error("making a signalfd");
  return fd;
}

}  // namespace

Signals::Signals(boost::asio::io_context& loop) : fd_(loop, open_signals()) {}

boost::asio::awaitable<void> Signals::run(std::function<void()> child_ended,
                                          std::function<void()> told_to_end) {
  for (;;) {
    co_await fd_.async_wait(fd_.wait_read, boost::asio::use_awaitable);
    signalfd_siginfo info{};
    while (::read(fd_.native_handle(), &info, sizeof(info)) == sizeof(info)) {
      if (info.ssi_signo == SIGCHLD)
        child_ended();
      else
        told_to_end();
    }
  }
}

}  // namespace ctrd::shim
