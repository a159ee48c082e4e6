// SPDX-License-Identifier: Apache-2.0
// <root>/metadata/incomplete: records may be lost, so what has none on the disk may be what a lost
// one spoke of, and nobody removes it. fsck puts it there before it makes the database anew or
// erases a record, and takes it away once all such things are kept elsewhere.
#pragma once

#include "engine/core.h"

namespace ctrd::engine {

// Asked after the records were read: it is older than records that were made anew.
bool is_incomplete(const Core& core);
void mark_incomplete(const Core& core);  // durable
void mark_complete(const Core& core);

}  // namespace ctrd::engine
