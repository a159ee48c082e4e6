// SPDX-License-Identifier: Apache-2.0
#include "engine/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include "base/error.h"

namespace ctrd::engine {

RawTerminal::RawTerminal(int fd, bool wanted) : fd_(fd) {
  if (!wanted || ::isatty(fd) == 0) return;
  termios now{};
  if (::tcgetattr(fd, &now) < 0) throw sys_error("read the terminal's settings");
  before_ = now;
  ::cfmakeraw(&now);
  if (::tcsetattr(fd, TCSADRAIN, &now) < 0) {
    before_.reset();
    throw sys_error("make the terminal raw");
  }
}

RawTerminal::~RawTerminal() {
  if (before_) ::tcsetattr(fd_, TCSADRAIN, &*before_);
}

std::optional<std::pair<uint16_t, uint16_t>> terminal_size(int fd) {
  winsize size{};
  if (::ioctl(fd, TIOCGWINSZ, &size) < 0 || size.ws_col == 0 || size.ws_row == 0)
    return std::nullopt;
  return std::pair(size.ws_col, size.ws_row);
}

}  // namespace ctrd::engine
