// SPDX-License-Identifier: Apache-2.0
// The mounts inside a container: the default ones and the caller's. Every spec has a fresh /dev, so
// that a root file system cannot redirect device nodes. Source: reliability.md C7; proc(5), devpts,
// mount(8).
#pragma once

#include <string>
#include <string_view>

#include "oci/json.h"
#include "oci/options.h"

namespace ctrd::oci {

// "mounts" of the spec: defaults, then the caller's in their order. Throws invalid("mounts", ...),
// kNotFound (kPath) for a missing bind source.
Json mounts_json(const SpecOptions& options);
Json masked_paths();
Json readonly_paths();

// Lexically normal and absolute, not "/", not at or below /proc; throws invalid(field, ...)
// otherwise.
void check_destination(std::string_view field, const std::string& destination);
// Throws kNotFound (kPath) naming the source, invalid if it is relative.
void check_bind_source(std::string_view field, const std::string& source);
std::string normal_path(const std::string& path);

}  // namespace ctrd::oci
