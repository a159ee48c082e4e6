// SPDX-License-Identifier: Apache-2.0
// The names of types in an Any.
#pragma once

#include <string_view>

namespace ctrd::api {

// "type.googleapis.com/containerd.runc.v1.Options" is the same as without what is before the slash.
inline std::string_view bare_type(std::string_view type_url) {
  return type_url.substr(type_url.rfind('/') + 1);
}

}  // namespace ctrd::api
