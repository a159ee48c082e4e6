// SPDX-License-Identifier: Apache-2.0
// What another shim's `start` prints: a plain address, JSON or a BootstrapResult. Source:
// shim-protocol.md 2.4, 2.6.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace ctrd::engine {

// Where it listens, as it said.
struct ShimAnswer {
  int64_t version = 2;
  std::string address;
  std::string protocol = "ttrpc";
};
// nullopt: it is none of the three.
std::optional<ShimAnswer> parse_shim_answer(std::string_view printed);
// The path of its socket. Throws kUnimplemented, naming the shim's program, for what we cannot
// drive: another protocol, a version above 3, a socket that is in no file system.
std::string socket_of(const std::string& program, const ShimAnswer& answer);

}  // namespace ctrd::engine
