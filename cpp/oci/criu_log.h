// SPDX-License-Identifier: Apache-2.0
// CRIU's own log, read: a runtime says only that it failed. The first real error, what it means and
// what to do about it. Texts of CRIU 3.17 and 4.1.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace ctrd::oci {

// The first line of an error, without time and place; not that about rlimits, which is harmless.
// "": there is none.
std::string first_criu_error(std::string_view log);
// What a checkpoint or restore failed with. Kind::kCheckpoint: kFailedPrecondition, this task
// cannot be dumped (or this image restored) as it is; kUnimplemented, this host cannot, whatever
// the task; kResourceExhausted. Else kInternal, Kind::kRuntime. Context: hint, log_path, and what
// `said` has, which is the runtime's own error.
Error criu_error(const Error& said, std::string_view log, const std::string& log_path);

}  // namespace ctrd::oci
