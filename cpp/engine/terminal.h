// SPDX-License-Identifier: Apache-2.0
// The caller's terminal while a process is attached to it: raw for the life of the object, so that
// every key goes through, and its size asked for, so that no signal handler is needed.
#pragma once

#include <termios.h>

#include <cstdint>
#include <optional>
#include <utility>

namespace ctrd::engine {

class RawTerminal {
 public:
  // Does nothing if fd is no terminal, or wanted is false.
  RawTerminal(int fd, bool wanted);
  RawTerminal(const RawTerminal&) = delete;
  ~RawTerminal();

 private:
  int fd_;
  std::optional<termios> before_;
};

// (cols, rows); nullopt: no terminal, or it does not know.
std::optional<std::pair<uint16_t, uint16_t>> terminal_size(int fd);

}  // namespace ctrd::engine
