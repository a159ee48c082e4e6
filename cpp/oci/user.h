// SPDX-License-Identifier: Apache-2.0
// "user[:group]" to numbers, looked up inside a root directory: /etc/passwd and /etc/group are
// strangers' files, opened as the container would see them, regular files only, at most 1 MiB. A
// numeric name is always a number (CVE-2026-46680).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ctrd::oci {

struct User {
  uint32_t uid = 0, gid = 0;
  std::vector<uint32_t> additional_gids;
  std::string home = "/";
};
// root_dir -1: names are kNotFound. D8 rows 35 to 41: uid beyond 2^31 - 1 invalid, unknown name or
// group kNotFound, FIFO invalid at once, file too big kResourceExhausted.
User resolve_user(std::string_view user, int root_dir);

}  // namespace ctrd::oci
