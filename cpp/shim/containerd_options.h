// SPDX-License-Identifier: Apache-2.0
// What containerd's clients ask of a shim, as our own Options: runc.v1.Options, its older forms and
// runtimeoptions.v1 are understood, other types are ignored. Source: shim-protocol.md 4.1, 4.6.
#pragma once

#include <string>

#include "api/bundle.h"
#include "api/runc_options.h"

namespace ctrd::shim {

// By its type, as runc's: the fields that a form does not have are as in a new one. criu_path,
// criu_image_path and criu_work_path are read and have no effect: CRIU is the one that the runtime
// finds, its work directory the bundle's, and a Checkpoint says where its images go. Throws invalid
// naming the field for a configuration that cannot be read.
api::RuncOptions runc_options(const api::Any& any);

// Of a type that runc_options reads.
bool are_runc_options(const api::Any& any);

// Without binary_name the runtime is $CTRD_RUNTIME, else runc. Throws kNotFound (kRuntime) naming a
// runtime that is not there; kFailedPrecondition for systemd's cgroups without systemd.
api::Options containerd_options(const api::Any& any, const std::string& ns);
// The runtime's absolute path.
std::string find_runtime(const api::RuncOptions& options);

}  // namespace ctrd::shim
