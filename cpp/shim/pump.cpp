// SPDX-License-Identifier: Apache-2.0
#include "shim/pump.h"

#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>

namespace ctrd::shim {
namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kChunk = 64 << 10;
constexpr int kChunksInTurn = 4;
constexpr Nanos kLookAgain = std::chrono::milliseconds(50);

bool is_regular(int fd) {
  struct stat facts {};
  return ::fstat(fd, &facts) == 0 && S_ISREG(facts.st_mode);
}

}  // namespace

Pump::Pump(asio::io_context& loop, UniqueFd source, std::unique_ptr<Sink> sink, bool stop_when_gone)
    : source_(loop, source.release()), sink_(std::move(sink)), stop_when_gone_(stop_when_gone) {}

asio::awaitable<void> Pump::run(std::shared_ptr<Pump> self, Event& ended) {
  bool more = true;
  bool is_file = is_regular(self->source_.native_handle());
  while (more && self->source_.is_open()) {
    if (is_file) {  // epoll refuses one, and it never blocks: the others get their turn
      co_await asio::post(self->source_.get_executor(), asio::use_awaitable);
    } else {
      auto [error] =
          co_await self->source_.async_wait(asio::posix::stream_descriptor::wait_read, kTuple);
      more = !error;
    }
    if (!more || !self->source_.is_open()) break;
    self->copying_ = true;
    more = co_await self->copy_some();
    self->copying_ = false;
  }
  if (self->source_.is_open()) co_await self->sink_->finish();
  self->close();
  self->running_ = false;
  ended.notify();
}

asio::awaitable<bool> Pump::copy_some() {
  auto buffer = std::make_unique_for_overwrite<char[]>(kChunk);
  for (int turn = 0; turn < kChunksInTurn; ++turn) {
    ssize_t n = ::read(source_.native_handle(), buffer.get(), kChunk);
    if (n == 0) co_return false;
    if (n < 0 && errno == EIO && life_) co_return co_await nobody_has_it();
    if (n < 0) co_return errno == EAGAIN || errno == EINTR;
    std::string_view chunk(buffer.get(), static_cast<std::size_t>(n));
    co_await sink_->write(chunk);
    if (!source_.is_open() || (stop_when_gone_ && sink_->gone())) co_return false;
  }
  co_return true;
}

asio::awaitable<bool> Pump::nobody_has_it() {
  if (life_->over) co_return false;
  std::shared_ptr<Life> life = life_;
  co_await life->changed.wait(after(kLookAgain));
  co_return true;
}

// How much is left in a terminal cannot be told: it is behind until its end.
bool Pump::is_behind() const {
  if (!running_ || !sink_->is_file()) return false;
  int unread = 0;
  return copying_ || life_ || ::ioctl(source_.native_handle(), FIONREAD, &unread) < 0 || unread > 0;
}

void Pump::close() {
  boost::system::error_code ignored;
  if (source_.is_open()) source_.close(ignored);
  sink_->close();
}

}  // namespace ctrd::shim
