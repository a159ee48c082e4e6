// SPDX-License-Identifier: Apache-2.0
// mkdir -p of a path as a user or configuration gives it. Below a descriptor: files.h,
// make_dirs_at.
#pragma once

#include <sys/types.h>

#include <string>

namespace ctrd {

// Makes what is missing; the last one gets just this mode, whatever the umask, those above it
// `parents` as mkdir(2) does. What is there already is left as it is.
void make_path(const std::string& path, mode_t mode, mode_t parents);

}  // namespace ctrd
