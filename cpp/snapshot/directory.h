// SPDX-License-Identifier: Apache-2.0
// <root>/snapshots/<n>, whatever is in it.
#pragma once

#include <cstdint>
#include <string_view>

namespace ctrd::snapshot {

inline constexpr std::string_view kTrashPrefix = ".trash-";

// Renames <n> to .trash-<n> (absent is fine) and removes it. Idempotent; safe beside another
// process doing the same.
void remove_directory(int snapshots, uint64_t number);

}  // namespace ctrd::snapshot
