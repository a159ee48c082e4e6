// SPDX-License-Identifier: Apache-2.0
// containerd's filter language, for everything that is listed or followed: a field path, alone (it
// is set) or with ==, != or ~= (RE2, anywhere in the value) and a value; a comma is "and", several
// expressions are "or". Parsed once; what an object's fields are says whoever asks. Not for reading
// objects. Source: semantics.md S4, S15; containerd pkg/filters.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace re2 {
class RE2;
}

namespace ctrd::metadata {

struct FieldPath {
  std::vector<std::string> parts;  // at least one
  std::string rest;                // those after the first, joined by dots: a label's key
  std::string text() const;        // all of them, joined by dots
};

class Filter {
 public:
  Filter() = default;  // matches everything, as do no expression and an empty one
  // Throws invalid("filter", ...) that marks the position (context "position": in bytes), also for
  // a regular expression that is none.
  explicit Filter(const std::vector<std::string>& expressions);

  // field(const FieldPath&): an optional string or string_view, nullopt for what is absent.
  template <typename F>
  bool matches(F&& field) const {
    for (const auto& all : any_of_)
      if (matches_all(all, field)) return true;
    return any_of_.empty();
  }
  // Every path that is named: for those who know all fields of what they filter.
  std::vector<FieldPath> paths() const;

 private:
  enum class Op { kPresent, kEqual, kDiffers, kMatches };
  struct Condition {
    FieldPath path;
    Op op = Op::kPresent;
    std::string value;
    std::shared_ptr<const re2::RE2> pattern;
  };
  friend class FilterParser;
  static bool holds(const Condition& condition, const std::optional<std::string_view>& value);
  template <typename F>
  static bool matches_all(const std::vector<Condition>& all, F& field) {
    for (const Condition& condition : all) {
      const auto value = field(condition.path);
      if (!holds(condition, value ? std::optional<std::string_view>(*value) : std::nullopt))
        return false;
    }
    return true;
  }

  std::vector<std::vector<Condition>> any_of_;
};

}  // namespace ctrd::metadata
