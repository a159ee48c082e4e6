// SPDX-License-Identifier: Apache-2.0
// The action serve: the supervisor of one task, started by our engine under the spawn contract
// (design.md 5; api/bundle.h has the descriptors' numbers). One thread, one loop.
#pragma once

#include "shim/arguments.h"

namespace ctrd::shim {

// Returns only if it could not begin (throws Error); else the process ends with status 0.
[[noreturn]] void serve(const Arguments& arguments);

}  // namespace ctrd::shim
