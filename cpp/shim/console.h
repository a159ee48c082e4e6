// SPDX-License-Identifier: Apache-2.0
// A process's terminal: the socket on which the runtime hands over its master, and its size. The
// runtime makes the terminal, applies the spec's consoleSize and sends one message with one
// descriptor, whatever its bytes. Source: shim-protocol.md 6.5.
#pragma once

#include <cstdint>
#include <string>

#include "base/unique_fd.h"
#include "shim/event.h"

namespace ctrd::shim {

struct Size {
  uint32_t columns = 0, rows = 0;
};
// Throws invalid unless both are 1 to 65535.
void check_size(Size size);
// TIOCSWINSZ; the foreground process gets a SIGWINCH if it has changed.
void set_size(int master, Size size);

class ConsoleSocket {
 public:
  // Listens on the file `tty` that it makes in this directory.
  explicit ConsoleSocket(UniqueFd dir);
  ConsoleSocket(const ConsoleSocket&) = delete;
  ~ConsoleSocket();

  // For the runtime: short, however long the directory's own path is.
  std::string path() const;
  // What the runtime has sent; non-blocking. It has exited already, so this waits only a moment.
  // Throws kInternal kRuntime if there is no terminal.
  asio::awaitable<UniqueFd> receive();

 private:
  UniqueFd dir_, listener_;
};

}  // namespace ctrd::shim
