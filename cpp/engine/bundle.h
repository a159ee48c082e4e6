// SPDX-License-Identifier: Apache-2.0
// Filling a claimed bundle: config.json, FIFOs, the socket. Layout: api/bundle.h.
#pragma once

#include <string>

#include "engine/claim.h"
#include "engine/values.h"

namespace ctrd::engine {

// Our ends of the FIFOs. `in` is open for reading too until open_stdin, so that the shim finds a
// writer there.
struct Streams {
  UniqueFd in, out, err;
};

// Throws invalid for what a stream cannot be.
void check_stdio(const Stdio& stdio);
Streams make_streams(int bundle_dir, const Stdio& stdio);
// Once the shim reads: from now on its going is an EPIPE.
void open_stdin(int bundle_dir, Streams* streams);
// Bound to <bundle>/sock and listening: connecting works before the shim runs.
LockFd make_socket(int bundle_dir);
// The stdio paths of a CreateRequest.
std::string stdin_path(const std::string& bundle, Std in);
std::string output_path(const std::string& bundle, const char* name, Std out);

}  // namespace ctrd::engine
