// SPDX-License-Identifier: Apache-2.0
// A stored spec for another container: only its names differ.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace ctrd::oci {

struct NewNames {
  std::string old_id, id, cgroups_path;
  std::optional<std::string> hostname = {};  // else the id's, if it was the old id's
};
// Throws kInvalidArgument (hostname).
std::string renamed_spec(std::string_view stored_spec, const NewNames& names);

}  // namespace ctrd::oci
