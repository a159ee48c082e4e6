// SPDX-License-Identifier: Apache-2.0
#include "metadata/labels.h"

#include "base/error.h"

namespace ctrd::metadata {
namespace {

constexpr std::size_t kMaxLabel = 4096;
constexpr std::size_t kShownKey = 64;
constexpr std::size_t kMostInEvent = 128 << 10;

}  // namespace

void check_labels(const Labels& labels) {
  for (const auto& [key, value] : labels) {
    if (key.empty()) throw invalid("labels", key, "a key must not be empty");
    if (key.size() + value.size() > kMaxLabel)
      throw invalid("labels", key.substr(0, kShownKey),
                    "key and value must be at most 4096 bytes together");
  }
}

void drop_empty(Labels& labels) {
  std::erase_if(labels, [](const auto& label) { return label.second.empty(); });
}

void apply_change(const LabelChange& change, Labels& labels) {
  for (const auto& [key, value] : change) {
    if (value)
      labels[key] = *value;
    else
      labels.erase(key);
  }
}

Labels event_labels(const Labels& labels) {
  std::size_t size = 0;
  for (const auto& [key, value] : labels) size += key.size() + value.size();
  return size > kMostInEvent ? Labels() : labels;
}

}  // namespace ctrd::metadata
