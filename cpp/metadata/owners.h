// SPDX-License-Identifier: Apache-2.0
// The record of an owner comes back with what that owner makes. A process takes its number once,
// and a database that was lost meanwhile has forgotten it: nobody would sweep what it made since.
#pragma once

#include <cstdint>

#include "base/process.h"
#include "metadata/changes.h"

namespace ctrd::metadata {

// With every object that has an owner. A process that is not known owns nothing.
void need_owner(Changes& changes, uint64_t number, const ProcessKey& process);

}  // namespace ctrd::metadata
