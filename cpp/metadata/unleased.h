// SPDX-License-Identifier: Apache-2.0
// Containers whose snapshot a lease holds (semantics.md S7): a verb that takes what is nobody's
// asks under the store's lock, for leases come while it is at work.
#pragma once

#include <functional>
#include <optional>
#include <string_view>

#include "metadata/containers.h"

namespace ctrd::metadata {

// A lease that has not expired holds this container's snapshot.
bool is_leased(Ledger& ledger, std::string_view ns, const Container& record, const Wait& wait);
// As Containers::remove; nullopt also if its snapshot is leased.
std::optional<Removed> remove_unleased(Ledger& ledger, std::string_view ns, std::string_view id,
                                       const Wait& wait,
                                       const std::function<bool(const Container&)>& may);

}  // namespace ctrd::metadata
