// SPDX-License-Identifier: Apache-2.0
// A container's runtime options: what is meant for its shim and OCI runtime, kept in the record as
// a message with its type, as containerd keeps them. Those of runc's shim
// (containerd.runc.v1.Options) are known here, and ours takes them too. Source: semantics.md S1.
#pragma once

#include <optional>
#include <string>

#include "api/runc_options.h"

namespace ctrd::engine {

using RuncOptions = api::RuncOptions;

api::Any pack(const RuncOptions& options);
// nullopt: of another type. Throws invalid("runtime_options"): not that message.
std::optional<RuncOptions> runc_options(const api::Any& options);

// Throws invalid("runtime_options") for what this runtime's shim cannot be told: ours and runc's
// take runc's alone, and where the runtime keeps its state, and in which cgroup it runs, is the
// engine's. kResourceExhausted above 16 KiB.
void check_runtime_options(const std::string& runtime_name, const api::Any& options);
// The OCI runtime that they name, or "".
std::string named_binary(const api::Any& options);

}  // namespace ctrd::engine
