// SPDX-License-Identifier: Apache-2.0
// Labels, as every object has them. Source: semantics.md S3.
#pragma once

#include <map>
#include <optional>
#include <string>

namespace ctrd::metadata {

using Labels = std::map<std::string, std::string>;
using LabelChange = std::map<std::string, std::optional<std::string>>;  // nullopt removes

// Key and value at most 4096 bytes together, key not empty; throws invalid("labels", key...), the
// key cut to 64 bytes.
void check_labels(const Labels& labels);
// An empty value is no label.
void drop_empty(Labels& labels);
void apply_change(const LabelChange& change, Labels& labels);
// All of them, or none where they would not fit into an event of the journal.
Labels event_labels(const Labels& labels);

}  // namespace ctrd::metadata
