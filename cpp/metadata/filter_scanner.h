// SPDX-License-Identifier: Apache-2.0
// Private to filter.cpp: the words of a filter expression. Source: containerd
// pkg/filters/scanner.go, quote.go.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace ctrd::metadata {

class FilterScanner {
 public:
  explicit FilterScanner(std::string_view text);  // throws: not UTF-8, or a NUL in it

  bool at_end() const { return at_ == text_.size(); }
  char peek() const { return at_end() ? '\0' : text_[at_]; }
  std::size_t at() const { return at_; }
  // Throws invalid("filter"): why, and the expression with [begin, end) marked: a>|b|<c.
  [[noreturn]] void fail(const std::string& why, std::size_t begin, std::size_t end) const;
  [[noreturn]] void fail(const std::string& why) const { fail(why, at_, at_ + 1); }

  void skip_space();
  bool take(char c);              // if it is next
  std::string_view take_field();  // "" if there is none
  std::string_view take_operator();
  std::string_view take_value();  // up to a comma or white space; "" if there is none
  // From the quote that is next to its end, as a Go string.
  std::string take_quoted();
  // Where the quote that is next ends, npos if it does not; nothing is taken.
  std::size_t end_of_quoted() const;
  bool ends_word(std::size_t at) const { return at >= text_.size() || text_[at] == ','; }

 private:
  template <typename Is>
  std::string_view take_while(Is is);
  void take_escape(char quote, std::string* out);
  unsigned take_digits(std::size_t count, int base);

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace ctrd::metadata
