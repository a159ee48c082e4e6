// SPDX-License-Identifier: Apache-2.0
// Private to this room: one snapshot's record and its references, within a batch.
#pragma once

#include <optional>

#include "metadata/changes.h"
#include "metadata/schema.h"

namespace ctrd::metadata {

std::optional<Snapshot> find_snapshot(const store::View& view, const SnapshotPlace& place);
// Throws kNotFound.
Snapshot get_snapshot(const store::View& view, const SnapshotPlace& place);
Object object_of(const SnapshotPlace& place);
// With the reverse keys of its parent and its labels. before: the labels so far.
void put_snapshot(Changes& changes, const SnapshotPlace& place, const Snapshot& record,
                  const Labels& before = {});
void erase_snapshot(Changes& changes, const SnapshotPlace& place, const Snapshot& record);
// Its directory becomes trash.
Numbered throw_away(Changes& changes, const Snapshot& record);
// "snapshot "<key>""
std::string named(const SnapshotPlace& place);

}  // namespace ctrd::metadata
