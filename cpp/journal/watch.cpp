// SPDX-License-Identifier: Apache-2.0
#include "journal/watch.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <new>

#include "base/error.h"
#include "journal/inotify.h"

namespace ctrd::journal {
namespace {

constexpr Nanos kLookAgain = std::chrono::milliseconds(100);

void add_to(int epoll, int fd) {
  epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
  if (::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) throw sys_error("watch the journal");
}

}  // namespace

Watch::Watch(int dir)
    : inotify_(Inotify::shared()),
      told_(::eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK)),
      pid_(::getpid()) {
  if (inotify_ && told_) watch_ = inotify_->add(dir, told_.get());
  if (watch_ >= 0) return;
  error_ = errno;
  inotify_.reset();
}

Watch::~Watch() {
  if (!inotify_) return;
  if (pid_ == ::getpid())
    inotify_->remove(watch_, told_.get());
  else  // the parent's: left alone
    new (std::nothrow) std::shared_ptr<Inotify>(std::move(inotify_));
}

void Watch::clear() {
  if (!inotify_) return;
  inotify_->drain();
  eventfd_t ignored = 0;
  ::eventfd_read(told_.get(), &ignored);
}

void Watch::touch() {
  if (told_) ::eventfd_write(told_.get(), 1);
}

void Watch::wait(const Wait& wait) {
  pollfd fds[] = {{inotify_ ? inotify_->fd() : -1, POLLIN, 0}, {told_.get(), POLLIN, 0}};
  poll_until(fds, wait.within(kLookAgain));
}

int Watch::fd() {
  if (both_) return both_.get();
  if (!inotify_) throw sys_error(error_ ? error_ : EMFILE, "watch the journal");
  UniqueFd both(::epoll_create1(EPOLL_CLOEXEC));
  if (!both) throw sys_error("watch the journal");
  add_to(both.get(), inotify_->fd());
  add_to(both.get(), told_.get());
  both_ = std::move(both);
  return both_.get();
}

}  // namespace ctrd::journal
