// SPDX-License-Identifier: Apache-2.0
// The action start, as containerd gives it: makes a listening socket, starts a shim that serves it
// (`serve -containerd`), and prints its address: plain, which is version 2, so that each container
// has a shim of its own. A shim without a task and without a connection ends after 30 s (-idle-ms:
// for tests): containerd may die between its start and its Create, or its Delete and its Shutdown.
// Source: shim-protocol.md 2.3 to 2.6.
#pragma once

#include <optional>
#include <string>

#include "api/bootstrap.h"
#include "shim/arguments.h"

namespace ctrd::shim {

// What came on stdin: nothing, options, or BootstrapParams, whose first two fields look like an Any
// of an unknown type. What is neither is as nothing.
struct StartInput {
  api::Any options;
  std::optional<api::BootstrapParams> params;
};
StartInput parse_start_input(const std::string& bytes, const std::string& id,
                             const std::string& ns);

// Returns what is to be printed. Throws Error; then no shim runs and nothing is left.
std::string start_shim(const Arguments& arguments);

}  // namespace ctrd::shim
