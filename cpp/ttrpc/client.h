// SPDX-License-Identifier: Apache-2.0
// The client's end of ttrpc, without threads: a call opens its own connection and polls in the
// caller's thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/time.h"
#include "base/unique_fd.h"
#include "ttrpc/frame.h"

namespace ctrd::ttrpc {

// Connects to the unix socket `name` in directory dir (so that paths may exceed 107 bytes). Throws
// kUnavailable if nobody listens or it is not there.
UniqueFd connect_at(int dir, const std::string& name, const Wait& wait);

// One call on one connection, which may be polled beside other descriptors. Sends on construction
// (blocking in Wait only if the peer does not read).
class Call {
 public:
  Call(UniqueFd socket, const Request& request, const Wait& wait, uint32_t stream = 1);
  int fd() const { return socket_.get(); }  // poll it for POLLIN
  // Reads what is there without blocking. True once the response is whole. Throws kUnavailable when
  // the peer closed before that.
  bool advance();
  // The payload; throws the peer's Error. Only after advance() returned true.
  std::string result();
  // Blocks: advance until done. Throws kDeadlineExceeded at the deadline.
  std::string finish(const Wait& wait);
  // To make another call, with the next odd stream id.
  UniqueFd take_socket() { return std::move(socket_); }

 private:
  bool fill(std::size_t want);
  bool is_mine(const Header& header) const;

  UniqueFd socket_;
  std::string what_;  // "containerd.task.v2.Task/Create", for messages
  uint32_t stream_;
  std::string buffer_;
  bool done_ = false;
};

// The usual case: connect, call, finish. timeout_nano on the wire is what is left until
// wait.deadline.
std::string call_at(int dir, const std::string& name, Request request, const Wait& wait);

}  // namespace ctrd::ttrpc
