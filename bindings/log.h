// SPDX-License-Identifier: Apache-2.0
// The core's log messages, handed to Python's logger "ctrd.core".
#pragma once

namespace ctrd::bindings {

// Makes the core say no more than the logger would pass on now. With the GIL held.
void follow_log_level();

}  // namespace ctrd::bindings
