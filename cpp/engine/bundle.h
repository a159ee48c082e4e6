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
bool has_pipes(const Stdio& stdio);
// The FIFOs that it needs, in this directory.
Streams make_streams(int io_dir, const Stdio& stdio);
void make_stdin(int io_dir, Streams* streams);
// Once the shim reads: from now on its going is an EPIPE. *in stays as it is if that fails.
void open_stdin(int io_dir, UniqueFd* in);
// Bound to <bundle>/sock and listening: connecting works before the shim runs.
LockFd make_socket(int bundle_dir);
// The stdio paths of a CreateRequest or an ExecProcessRequest; io: path of the FIFOs' directory.
std::string stdin_path(const std::string& io, const Stdio& stdio);
std::string output_path(const std::string& io, const Stdio& stdio, int stream);

}  // namespace ctrd::engine
