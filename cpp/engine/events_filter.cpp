// SPDX-License-Identifier: Apache-2.0
#include "engine/events_filter.h"

#include <algorithm>
#include <cctype>
#include <optional>

#include "base/error.h"

namespace ctrd::engine {

class FilterParser {
 public:
  explicit FilterParser(std::string_view text) : text_(text) {}

  std::vector<EventFilter::Condition> parse() {
    std::vector<EventFilter::Condition> all;
    while (at_ < text_.size()) {
      all.push_back(condition());
      if (at_ == text_.size()) break;
      if (text_[at_] != ',') fail("expected a comma");
      if (++at_ == text_.size()) fail("expected a field after the comma");
    }
    return all;
  }

 private:
  using Op = EventFilter::Op;

  [[noreturn]] void fail(const std::string& why) const {
    throw invalid("filter", text_, why + " at position " + std::to_string(at_));
  }
  bool is_next(std::string_view token) const { return text_.substr(at_).starts_with(token); }

  EventFilter::Condition condition() {
    EventFilter::Condition one;
    one.field = field();
    for (auto [token, op] :
         {std::pair{"==", Op::kEqual}, {"!=", Op::kDiffers}, {"~=", Op::kMatches}}) {
      if (!is_next(token)) continue;
      at_ += 2;
      one.op = op;
      one.value = value(op == Op::kMatches);
      break;
    }
    if (one.op == Op::kMatches) matches_simply(one.value, "");
    return one;
  }

  std::string field() {
    std::size_t begin = at_;
    std::string path = part();
    bool is_event = path == "event";
    while (is_next(".")) {
      ++at_;
      path += '.' + part();
    }
    bool known = is_event ? path.size() > 6 : path == "topic" || path == "namespace";
    if (known) return path;
    at_ = begin;
    fail("events have namespace, topic and event.<field>, not \"" + path + '"');
  }

  std::string part() {
    if (is_next("\"")) return quoted('"');
    std::size_t begin = at_;
    while (at_ < text_.size() &&
           (std::isalnum(static_cast<unsigned char>(text_[at_])) || text_[at_] == '_'))
      ++at_;
    if (at_ == begin) fail("expected a field");
    return std::string(text_.substr(begin, at_ - begin));
  }

  std::string value(bool is_pattern) {
    if (is_next("\"")) return quoted('"');
    if (is_pattern &&
        (is_next("|") || (is_next("/") && text_.find('/', at_ + 1) == end_of_run() - 1)))
      return quoted(text_[at_]);
    std::size_t begin = at_, end = end_of_run();
    if (begin == end) fail("expected a value");
    at_ = end;
    return std::string(text_.substr(begin, end - begin));
  }

  std::size_t end_of_run() const {
    std::size_t end = at_;
    while (end < text_.size() && text_[end] != ',' &&
           !std::isspace(static_cast<unsigned char>(text_[end])))
      ++end;
    return end;
  }

  std::string quoted(char quote) {
    std::string value;
    for (++at_; at_ < text_.size() && text_[at_] != quote; ++at_) {
      if (text_[at_] == '\\' && at_ + 1 < text_.size() &&
          (text_[at_ + 1] == quote || text_[at_ + 1] == '\\'))
        ++at_;
      value += text_[at_];
    }
    if (at_ == text_.size()) fail("expected the closing quote");
    ++at_;
    return value;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

namespace {

std::optional<std::string> field_of(const EventInfo& event, const std::string& field) {
  if (field == "topic") return event.topic;
  if (field == "namespace") return event.ns;
  const auto* value = api::find_field(event.fields, std::string_view(field).substr(6));
  return value ? std::optional(api::field_text(*value)) : std::nullopt;
}

// The texts between the pattern's ".*".
std::vector<std::string> pieces_of(std::string_view pattern) {
  std::vector<std::string> pieces(1);
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern.substr(i).starts_with(".*")) {
      pieces.emplace_back();
      ++i;
      continue;
    }
    bool escaped = pattern[i] == '\\' && i + 1 < pattern.size() &&
                   std::ispunct(static_cast<unsigned char>(pattern[i + 1]));
    if (escaped) ++i;
    if (!escaped && std::string_view(".*+?()[]{}|\\^$").find(pattern[i]) != std::string_view::npos)
      throw Error(Code::kUnimplemented, "filter: the regular expression " + std::string(pattern) +
                                            ": only ^, $ and .* are understood yet")
          .with("field", "filter")
          .with("value", std::string(pattern));
    pieces.back() += pattern[i];
  }
  return pieces;
}

}  // namespace

bool matches_simply(std::string_view pattern, std::string_view text) {
  bool from_begin = pattern.starts_with('^');
  if (from_begin) pattern.remove_prefix(1);
  bool to_end = pattern.ends_with('$') && !pattern.ends_with("\\$");
  if (to_end) pattern.remove_suffix(1);
  std::vector<std::string> pieces = pieces_of(pattern);
  if (from_begin) {
    if (!text.starts_with(pieces.front())) return false;
    text.remove_prefix(pieces.front().size());
    if (pieces.size() == 1) return !to_end || text.empty();
    pieces.erase(pieces.begin());
  }
  std::string last;
  if (to_end) last = pieces.back(), pieces.pop_back();
  for (const std::string& piece : pieces) {
    std::size_t at = text.find(piece);
    if (at == text.npos) return false;
    text.remove_prefix(at + piece.size());
  }
  return !to_end || text.ends_with(last);
}

EventFilter::EventFilter(const std::vector<std::string>& filters) {
  for (const std::string& filter : filters) any_of_.push_back(FilterParser(filter).parse());
}

bool EventFilter::holds(const Condition& condition, const EventInfo& event) {
  auto value = field_of(event, condition.field);
  switch (condition.op) {
    case Op::kPresent:
      return value && !value->empty();
    case Op::kEqual:
      return value && *value == condition.value;
    case Op::kDiffers:
      return !value || *value != condition.value;
    case Op::kMatches:
      return matches_simply(condition.value, value.value_or(""));
  }
  return false;
}

bool EventFilter::matches(const EventInfo& event) const {
  if (any_of_.empty()) return true;
  return std::ranges::any_of(any_of_, [&](const auto& all) {
    return std::ranges::all_of(all, [&](const auto& one) { return holds(one, event); });
  });
}

}  // namespace ctrd::engine
