// SPDX-License-Identifier: Apache-2.0
// Process 1 inside a container that was created with init: it starts the program, reaps what is
// left to it, passes signals on, and ends as the program does. A static program of the host's, so
// nothing of the shim's is used here: no loop, no log, no allocation after the fork.
#pragma once

namespace ctrd::shim {

// argv: the program and its arguments, null at the end; looked up on PATH.
//   Returns: the program's exit code, 128 + n for a death by signal n; 127 if it is not there, 126
//            if it cannot be executed (and a word on stderr)
int run_init(char** argv);

}  // namespace ctrd::shim
