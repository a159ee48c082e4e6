// SPDX-License-Identifier: Apache-2.0
#include "metadata/filter.h"

#include <re2/re2.h>

#include <utility>

#include "metadata/filter_scanner.h"

namespace ctrd::metadata {
namespace {

std::string joined(const std::vector<std::string>& parts, std::size_t from) {
  std::string text;
  for (std::size_t i = from; i < parts.size(); ++i)
    text.append(i > from ? "." : "").append(parts[i]);
  return text;
}

}  // namespace

std::string FieldPath::text() const { return joined(parts, 0); }

class FilterParser {
 public:
  using Condition = Filter::Condition;
  using Op = Filter::Op;

  explicit FilterParser(std::string_view text) : scanner_(text) {}

  std::vector<Condition> parse() {
    std::vector<Condition> all;
    if (scanner_.at_end()) return all;
    do {
      all.push_back(condition());
    } while (scanner_.take(','));
    if (!scanner_.at_end()) scanner_.fail("expected a comma or the end");
    return all;
  }

 private:
  Condition condition() {
    Condition one;
    one.path = path();
    if (scanner_.ends_word(scanner_.at())) return one;
    one.op = op();
    scanner_.skip_space();
    std::size_t begin = scanner_.at();
    one.value = value(one);
    if (one.op == Op::kMatches) one.pattern = pattern(one.value, begin);
    return one;
  }

  FieldPath path() {
    FieldPath path;
    do {
      path.parts.push_back(part());
    } while (scanner_.take('.'));
    path.rest = joined(path.parts, 1);
    return path;
  }

  std::string part() {
    scanner_.skip_space();
    if (scanner_.peek() == '"') return scanner_.take_quoted();
    std::string_view field = scanner_.take_field();
    if (field.empty()) scanner_.fail("expected a field, or one in double quotes");
    return std::string(field);
  }

  Op op() {
    scanner_.skip_space();
    std::size_t begin = scanner_.at();
    std::string_view word = scanner_.take_operator();
    if (word == "==") return Op::kEqual;
    if (word == "!=") return Op::kDiffers;
    if (word == "~=") return Op::kMatches;
    scanner_.fail("expected an operator (==, != or ~=)", begin,
                  begin + (word.empty() ? 1 : word.size()));
  }

  std::string value(const Condition& of) {
    char first = scanner_.peek();
    if (first == '"') return scanner_.take_quoted();
    if (first == '/' && is_plain_topic(of)) return std::string(scanner_.take_value());
    bool is_quote = first == '/' || first == '|';
    if (is_quote && of.op == Op::kMatches) return scanner_.take_quoted();
    if (is_quote) scanner_.fail("only patterns (~=) are quoted by / or |: use double quotes");
    if (std::string_view(".=!~").find(first) != std::string_view::npos || scanner_.at_end())
      scanner_.fail("expected a value, or one in double quotes");
    std::string_view value = scanner_.take_value();
    if (value.empty()) scanner_.fail("expected a value, or one in double quotes");
    return std::string(value);
  }

  // Every topic begins with a slash, so there it need not be quoted: where containerd would refuse
  // it as a quote, it is one. What containerd takes means the same here.
  bool is_plain_topic(const Condition& of) const {
    if (of.path.parts.size() != 1 || of.path.parts[0] != "topic") return false;
    std::size_t end = scanner_.end_of_quoted();
    return of.op != Op::kMatches || end == std::string_view::npos || !scanner_.ends_word(end);
  }

  std::shared_ptr<const re2::RE2> pattern(const std::string& value, std::size_t begin) const {
    re2::RE2::Options options;
    options.set_log_errors(false);
    auto made = std::make_shared<const re2::RE2>(value, options);
    if (!made->ok())
      scanner_.fail("not a regular expression (" + escaped(made->error(), 128) + ")", begin,
                    scanner_.at());
    return made;
  }

  FilterScanner scanner_;
};

Filter::Filter(const std::vector<std::string>& expressions) {
  for (const std::string& text : expressions) any_of_.push_back(FilterParser(text).parse());
}

bool Filter::holds(const Condition& condition, const std::optional<std::string_view>& value) {
  std::string_view text = value.value_or("");
  switch (condition.op) {
    case Op::kPresent:
      return value.has_value();
    case Op::kEqual:
      return value && text == condition.value;
    case Op::kDiffers:
      return text != condition.value;
    case Op::kMatches:
      return re2::RE2::PartialMatch({text.data(), text.size()}, *condition.pattern);
  }
  return false;
}

std::vector<FieldPath> Filter::paths() const {
  std::vector<FieldPath> paths;
  for (const auto& all : any_of_)
    for (const Condition& condition : all) paths.push_back(condition.path);
  return paths;
}

}  // namespace ctrd::metadata
