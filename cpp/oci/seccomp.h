// SPDX-License-Identifier: Apache-2.0
// System call filters: the default profile, and checks of a caller's. The default one is for the
// native architecture only: every further one costs milliseconds in each create. Source:
// seccomp(2); syscalls(2); runtime-spec config-linux.md.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "oci/json.h"
#include "oci/json_read.h"

namespace ctrd::oci {

// linux.seccomp: ENOSYS for what this list does not know (so that programs fall back), EPERM for
// what is known and denied, widened by the container's capabilities ("CAP_...").
Json default_seccomp(const std::vector<std::string>& capabilities);
// Throws invalid unless it is a profile in the runtime-spec's form (docker's templates are not).
void check_seccomp(const Member& profile);

// The tables, in seccomp_syscalls.cpp.
struct CapSyscall {
  std::string_view capability, name;
};
std::span<const std::string_view> allowed_syscalls();
std::span<const CapSyscall> capability_syscalls();    // allowed with the capability, else EPERM
std::span<const std::string_view> denied_syscalls();  // EPERM always

}  // namespace ctrd::oci
