// SPDX-License-Identifier: Apache-2.0
#include "engine/events_filter.h"

#include <optional>

#include "base/error.h"

namespace ctrd::engine {
namespace {

using metadata::FieldPath;

bool is_known(const FieldPath& path) {
  if (path.parts[0] == "event") return path.parts.size() > 1;
  return path.parts.size() == 1 && (path.parts[0] == "topic" || path.parts[0] == "namespace");
}

std::optional<std::string> find_field(const EventInfo& event, const FieldPath& path) {
  std::string text;
  if (path.parts[0] == "topic") {
    text = event.topic;
  } else if (path.parts[0] == "namespace") {
    text = event.ns;
  } else if (const auto* value = api::find_field(event.fields, path.rest)) {
    text = api::field_text(*value);
  }
  return text.empty() ? std::nullopt : std::optional(std::move(text));  // empty is absent
}

}  // namespace

EventFilter::EventFilter(const std::vector<std::string>& filters) : filter_(filters) {
  for (const FieldPath& path : filter_.paths())
    if (!is_known(path))
      throw invalid("filter", path.text(), "events have namespace, topic and event.<field>");
}

bool EventFilter::matches(const EventInfo& event) const {
  return filter_.matches([&](const FieldPath& path) { return find_field(event, path); });
}

}  // namespace ctrd::engine
