// SPDX-License-Identifier: Apache-2.0
// A stored spec for another container: only its names differ.
#pragma once

#include <string>
#include <string_view>

namespace ctrd::oci {

// hostname "": none, as where the host's UTS namespace is used.
std::string renamed_spec(std::string_view stored_spec, const std::string& cgroups_path,
                         const std::string& hostname);

}  // namespace ctrd::oci
