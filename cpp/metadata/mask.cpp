// SPDX-License-Identifier: Apache-2.0
#include "metadata/mask.h"

#include <algorithm>
#include <array>

#include "base/error.h"

namespace ctrd::metadata {
namespace {

constexpr auto kFields =
    std::to_array<std::string_view>({"labels", "spec", "extensions", "image", "snapshotkey"});
constexpr auto kKeyed = std::to_array<std::string_view>({"labels", "extensions"});

bool is_key_of(std::string_view path, std::string_view field) {
  return path.size() > field.size() + 1 && path.starts_with(field) && path[field.size()] == '.';
}

void check_path(std::string_view path, Mask::Of of) {
  bool known = std::ranges::find(kFields, path) != kFields.end() ||
               std::ranges::any_of(kKeyed, [&](auto field) { return is_key_of(path, field); });
  if (of == Mask::kOnlyLabels && !path.starts_with("labels")) known = false;
  if (!known) throw invalid("fields", path, "there is no such field, or it cannot be updated");
}

// A whole field: only what is given stays.
void replace(const LabelChange& given, Labels& values) {
  values.clear();
  apply_change(given, values);
}

void take_key(const std::string& key, const LabelChange& given, Labels& values) {
  auto found = given.find(key);
  if (found != given.end() && found->second)
    values[key] = *found->second;
  else
    values.erase(key);
}

}  // namespace

Mask::Mask(const std::optional<std::vector<std::string>>& paths, Of of) : paths_(paths) {
  if (!paths) return;
  for (const std::string& path : *paths) check_path(path, of);
}

bool Mask::has(std::string_view field, bool is_given) const {
  if (!paths_) return is_given;
  return paths_->empty() || std::ranges::find(*paths_, field) != paths_->end();
}

void Mask::apply(std::string_view field, const LabelChange& given, Labels& values) const {
  if (!paths_) return apply_change(given, values);
  if (has(field, false)) return replace(given, values);
  for (const std::string& path : *paths_)
    if (is_key_of(path, field)) take_key(path.substr(field.size() + 1), given, values);
}

}  // namespace ctrd::metadata
