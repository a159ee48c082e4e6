// SPDX-License-Identifier: Apache-2.0
// What CRIU said when it failed, in <root>/logs/.criu: the container may go with the failure, and
// its bundle with it. The newest sixteen are kept.
#pragma once

#include "base/error.h"
#include "engine/core.h"
#include "engine/task.h"

namespace ctrd::engine {

inline constexpr const char* kCriuLogs = ".criu";

// The shim's error, its "log_path" and its words naming the copy. As it is, if it has no log.
Error with_kept_log(const Core& core, const Task& task, const Error& error);

}  // namespace ctrd::engine
