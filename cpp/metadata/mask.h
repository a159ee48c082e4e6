// SPDX-License-Identifier: Apache-2.0
// Which fields of an object an update is about: those that are given, or, with containerd's field
// paths, just those that they name. Source: semantics.md S1; containerd
// core/metadata/containers.go.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "metadata/labels.h"

namespace ctrd::metadata {

class Mask {
 public:
  // Throws invalid("fields") for a path that cannot be updated.
  enum Of { kContainer, kOnlyLabels };
  explicit Mask(const std::optional<std::vector<std::string>>& paths, Of of = kContainer);

  // Whether this field becomes what is given, or nothing if nothing is.
  bool has(std::string_view field, bool is_given) const;
  // Of a field with keys: the change, or what the paths take from it.
  void apply(std::string_view field, const LabelChange& given, Labels& values) const;

 private:
  const std::optional<std::vector<std::string>>& paths_;
};

}  // namespace ctrd::metadata
