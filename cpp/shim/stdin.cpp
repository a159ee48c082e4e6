// SPDX-License-Identifier: Apache-2.0
#include "shim/stdin.h"

#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/error.h"

namespace ctrd::shim {
namespace {

constexpr std::size_t kMost = 4 << 20;

}  // namespace

std::string read_stdin() {
  std::string all;
  std::array<char, 4096> buffer;
  for (;;) {
    ssize_t n = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (n == 0 || (n < 0 && errno == EBADF)) return all;
    if (n < 0 && errno != EINTR) throw sys_error("reading stdin");
    if (n > 0) all.append(buffer.data(), static_cast<std::size_t>(n));
    if (all.size() > kMost)
      throw Error(Code::kResourceExhausted, "stdin: more than " + std::to_string(kMost) + " bytes");
  }
}

}  // namespace ctrd::shim
