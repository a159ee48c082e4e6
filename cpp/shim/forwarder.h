// SPDX-License-Identifier: Apache-2.0
// Events to containerd's ttrpc address, one at a time and strictly in order. What cannot be sent
// (containerd is being restarted) waits, and is tried again until it gets through; nothing waits
// for it. Exits and deletions are the last to be given up. Source: shim-protocol.md 5.
#pragma once

#include <boost/asio/posix/stream_descriptor.hpp>
#include <deque>
#include <optional>
#include <string>

#include "api/event.h"
#include "shim/event.h"
#include "ttrpc/frame.h"

namespace ctrd::shim {

struct ForwardLimits {
  std::size_t waiting = 4096;              // events
  Nanos answer = std::chrono::seconds(5);  // of containerd, to one
  Nanos longest_pause = std::chrono::seconds(1);
};

// How long the last events are tried for.
struct LastChance {
  Nanos slow = std::chrono::seconds(5);    // while somebody is there
  Nanos absent = std::chrono::seconds(1);  // while nobody listens
};

class Forwarder {
 public:
  // address: of a unix socket, with or without unix://.
  Forwarder(asio::io_context& loop, std::string address, ForwardLimits limits = {});
  Forwarder(const Forwarder&) = delete;

  void add(const api::Event& event);
  // The last chance: until all are sent, or for so long as the limits say.
  asio::awaitable<void> finish(LastChance limits);
  std::size_t waiting() const { return waiting_.size(); }

 private:
  struct Waiting {
    ttrpc::Request request;
    bool is_end;  // an exit or a deletion
  };
  asio::awaitable<void> run();
  asio::awaitable<bool> send(ttrpc::Request request);
  bool connect();
  void saw(bool nobody);
  void close();
  void make_room();
  void limit_time();
  asio::awaitable<bool> write(std::string data);
  asio::awaitable<std::optional<std::string>> read(std::size_t size);
  asio::awaitable<std::optional<std::string>> read_answer(uint32_t stream);

  asio::io_context& loop_;
  std::string address_;
  ForwardLimits limits_;
  std::deque<Waiting> waiting_;
  std::optional<asio::posix::stream_descriptor> socket_;
  asio::steady_timer clock_;
  uint64_t tries_ = 0;  // which one the clock is set for
  uint32_t stream_ = 1;
  bool running_ = false, finishing_ = false;
  bool nobody_ = false;    // listened there, when we last tried
  Event changed_, hurry_;  // of running_ and nobody_; finishing_
};

}  // namespace ctrd::shim
