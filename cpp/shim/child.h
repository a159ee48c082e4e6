// SPDX-License-Identifier: Apache-2.0
// One process of the container, a child of ours, by its pidfd: signals never reach another one that
// has taken its number. And the errors that are about it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "base/error.h"
#include "base/unique_fd.h"

namespace ctrd::shim {

UniqueFd open_child(pid_t pid);      // throws sys_error
void check_signal(uint32_t signal);  // throws invalid for a number that is no signal's
// Throws invalid, already_finished(), sys_error naming `who`.
void send_signal(const UniqueFd& pidfd, uint32_t signal, const std::string& who);
void try_kill(const UniqueFd& pidfd);  // SIGKILL; whatever comes of it

Error already_finished();                                  // kNotFound kProcess
Error no_child_of(const std::string& runtime, pid_t pid);  // kInternal kRuntime

}  // namespace ctrd::shim
