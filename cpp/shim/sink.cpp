// SPDX-License-Identifier: Apache-2.0
#include "shim/sink.h"

#include <termios.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <string>

namespace ctrd::shim {
namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);

class PipeSink : public Sink {
 public:
  PipeSink(asio::io_context& loop, UniqueFd fd, UniqueFd keeper = {})
      : fd_(loop, fd.release()), keeper_(std::move(keeper)) {}

  asio::awaitable<void> write(std::string_view data) override {
    while (!data.empty() && fd_.is_open()) {
      ssize_t n = ::write(fd_.native_handle(), data.data(), data.size());
      if (n >= 0) {
        data.remove_prefix(static_cast<std::size_t>(n));
      } else if (errno == EAGAIN) {
        co_await fd_.async_wait(fd_.wait_write, kTuple);
      } else if (errno == EPIPE) {
        close();  // the reader has gone
      } else if (errno != EINTR) {
        lost_ = true;
        co_return;
      }
    }
  }

  void close() override {
    boost::system::error_code ignored;
    if (fd_.is_open()) fd_.close(ignored);
    keeper_.reset();
  }
  bool gone() const override { return !fd_.is_open(); }
  bool is_kept() const override { return false; }
  bool lost() const override { return lost_; }

 protected:
  bool is_open() const { return fd_.is_open(); }
  int handle() { return fd_.native_handle(); }

 private:
  asio::posix::stream_descriptor fd_;
  UniqueFd keeper_;
  bool lost_ = false;
};

class FileSink : public PipeSink {
 public:
  using PipeSink::PipeSink;
  bool is_file() const override { return true; }
  bool is_kept() const override { return true; }
};

// What is typed into a terminal. Its line discipline makes an end of input of a character (^D),
// which first hands over what is not yet a line, so that it may need two.
class TerminalSink : public PipeSink {
 public:
  TerminalSink(asio::io_context& loop, UniqueFd fd) : PipeSink(loop, std::move(fd)) {}

  asio::awaitable<void> write(std::string_view data) override {
    if (!data.empty()) in_line_ = data.back() != '\n' && data.back() != '\r';
    co_await PipeSink::write(data);
  }
  asio::awaitable<void> finish() override {
    termios settings{};
    if (!is_open() || ::tcgetattr(handle(), &settings) < 0) co_return;
    if ((settings.c_lflag & ICANON) == 0) co_return;  // the program reads ^D as any other key
    std::string end(in_line_ ? 2 : 1, static_cast<char>(settings.c_cc[VEOF]));
    co_await PipeSink::write(end);
  }

 private:
  bool in_line_ = false;
};

class NullSink : public Sink {
 public:
  asio::awaitable<void> write(std::string_view /*data*/) override { co_return; }
  void close() override {}
};

class LogSink : public Sink {
 public:
  LogSink(std::shared_ptr<api::LogWriter> log, api::Stream stream)
      : log_(std::move(log)), stream_(stream) {}

  asio::awaitable<void> write(std::string_view data) override {
    if (log_ && !log_->append(stream_, data)) lost_ = true;
    co_return;
  }
  void close() override { log_.reset(); }
  bool lost() const override { return lost_; }

 private:
  std::shared_ptr<api::LogWriter> log_;
  api::Stream stream_;
  bool lost_ = false;
};

}  // namespace

std::unique_ptr<Sink> pipe_sink(asio::io_context& loop, UniqueFd fd, UniqueFd keeper) {
  return std::make_unique<PipeSink>(loop, std::move(fd), std::move(keeper));
}

std::unique_ptr<Sink> file_sink(asio::io_context& loop, UniqueFd fd) {
  return std::make_unique<FileSink>(loop, std::move(fd));
}

std::unique_ptr<Sink> terminal_sink(asio::io_context& loop, UniqueFd master) {
  return std::make_unique<TerminalSink>(loop, std::move(master));
}

std::unique_ptr<Sink> null_sink() { return std::make_unique<NullSink>(); }

std::unique_ptr<Sink> log_sink(std::shared_ptr<api::LogWriter> log, api::Stream stream) {
  return std::make_unique<LogSink>(std::move(log), stream);
}

}  // namespace ctrd::shim
