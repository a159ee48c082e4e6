// SPDX-License-Identifier: Apache-2.0
#include "shim/oom_watch.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "base/cgroup.h"
#include "base/error.h"
#include "base/files.h"
#include "base/log.h"

namespace ctrd::shim {
namespace {

using asio::posix::stream_descriptor;

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
// v1 tells of the want of memory, and only then kills: so long the count is looked at.
constexpr int kLooks = 20;
constexpr Nanos kLookEvery = std::chrono::milliseconds(5);

struct Source {
  UniqueFd fd;
  stream_descriptor::wait_type readiness = stream_descriptor::wait_read;
};

UniqueFd try_open(const std::string& path, int flags) {
  return UniqueFd(::open(path.c_str(), flags | O_CLOEXEC));
}

UniqueFd watch_v1(const std::string& dir) {
  UniqueFd control = try_open(dir + "/memory.oom_control", O_RDONLY);
  UniqueFd registry = try_open(dir + "/cgroup.event_control", O_WRONLY);
  UniqueFd event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!control || !registry || !event) return {};
  std::string line = std::to_string(event.get()) + " " + std::to_string(control.get());
  if (::write(registry.get(), line.data(), line.size()) < 0) return {};
  return event;
}

Source find_source(const std::string& cgroups_path) {
  for (const std::string& dir : cgroup_dirs(cgroups_path)) {
    if (UniqueFd event = watch_v1(dir)) return {.fd = std::move(event)};
    if (UniqueFd events = try_open(dir + "/memory.events", O_RDONLY | O_NONBLOCK))
      return {.fd = std::move(events), .readiness = stream_descriptor::wait_error};
  }
  return {};
}

}  // namespace

struct OomWatch::State {
  State(asio::io_context& loop, Source source, std::function<uint64_t()> the_count,
        std::function<void(uint64_t)> the_killed)
      : fd(loop, source.fd.release()),
        readiness(source.readiness),
        count(std::move(the_count)),
        killed(std::move(the_killed)) {}

  // Only what has been read is no news.
  void take() {
    char text[512];
    if (::pread(fd.native_handle(), text, sizeof(text), 0) < 0 && errno == ESPIPE &&
        ::read(fd.native_handle(), text, sizeof(text)) < 0)
      return;
  }

  stream_descriptor fd;
  stream_descriptor::wait_type readiness;
  std::function<uint64_t()> count;
  std::function<void(uint64_t)> killed;
  uint64_t told = 0;
  bool stopped = false;
};

OomWatch::OomWatch(asio::io_context& loop, const std::string& cgroups_path,
                   std::function<uint64_t()> count, std::function<void(uint64_t)> killed) {
  try {
    Source source = find_source(cgroups_path);
    if (!source.fd) return;
    state_ = std::make_shared<State>(loop, std::move(source), std::move(count), std::move(killed));
    state_->take();
    start(loop, run(state_), "watching for want of memory");
  } catch (const Error& error) {
    log(Level::kWarning, error.message());
  }
}

OomWatch::~OomWatch() {
  if (!state_) return;
  state_->stopped = true;
  boost::system::error_code ignored;
  state_->fd.close(ignored);
}

asio::awaitable<void> OomWatch::run(std::shared_ptr<State> state) {
  while (!state->stopped) {
    auto [error] = co_await state->fd.async_wait(state->readiness, kTuple);
    if (error || state->stopped) co_return;
    state->take();
    co_await look(state);
  }
}

asio::awaitable<void> OomWatch::look(std::shared_ptr<State> state) {
  for (int round = 0; round < kLooks && !state->stopped; ++round) {
    uint64_t count = state->count();
    if (count > state->told) {
      state->told = count;
      state->killed(count);
      co_return;
    }
    co_await pause_for(kLookEvery);
  }
}

}  // namespace ctrd::shim
