// SPDX-License-Identifier: Apache-2.0
// Which fields of which object a filter can ask for. A field that an object does not have is
// absent, not an error. Source: semantics.md S4; containerd core/metadata/adaptors.go.
#pragma once

#include <optional>
#include <string_view>

#include "metadata/filter.h"
#include "metadata/record.h"

namespace ctrd::metadata {

struct Lease;       // leases.h
struct Checkpoint;  // checkpoints.h

// id, runtime.name, image, labels.<key>
std::optional<std::string_view> find_field(const Container& record, const FieldPath& path);

// name, parent, kind (active, view, committed), labels.<key>
std::optional<std::string_view> find_field(std::string_view name, const Snapshot& record,
                                           const FieldPath& path);

// digest, labels.<key>
std::optional<std::string_view> find_field(const Blob& record, const FieldPath& path);

// id, labels.<key>
std::optional<std::string_view> find_field(const Lease& record, const FieldPath& path);
// name, container (the id of the one it was made of), image, labels.<key>
std::optional<std::string_view> find_field(const Checkpoint& record, const FieldPath& path);

// labels.<key>, for every object that has labels.
std::optional<std::string_view> find_label(const Labels& labels, const FieldPath& path);

}  // namespace ctrd::metadata
