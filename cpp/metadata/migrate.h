// SPDX-License-Identifier: Apache-2.0
// From the schema that is on disk to ours (schema.h), before the first verb of a root.
#pragma once

#include "store/store.h"

namespace ctrd::metadata {

// In the same batch: the steps from an older version, and the version. kFailedPrecondition (kRoot)
// for a newer one.
void migrate(const store::View& view, store::Batch& batch);

}  // namespace ctrd::metadata
