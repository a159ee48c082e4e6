// SPDX-License-Identifier: Apache-2.0
#include "metadata/filter_scanner.h"

#include <algorithm>
#include <charconv>

namespace ctrd::metadata {
namespace {

constexpr std::size_t kShownBefore = 200, kShownAfter = 100;

bool is_field(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}
bool is_operator(char c) { return c == '=' || c == '!' || c == '~'; }
bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool is_control(char c) { return (c >= '\0' && c < ' ') || c == '\x7f'; }
bool is_value(char c) { return c != ',' && !is_space(c) && !is_control(c); }

// Length of the UTF-8 character at the beginning of text, 0 if there is none.
std::size_t utf8_length(std::string_view text) {
  auto byte = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  unsigned first = byte(0);
  if (first < 0x80) return 1;
  std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4) return 0;
  for (std::size_t i = 1; i < length; ++i)
    if ((byte(i) & 0xc0) != 0x80) return 0;
  unsigned second = byte(1);
  bool refused = (first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) ||
                 (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f);
  return refused ? 0 : length;
}

void append_utf8(unsigned rune, std::string* out) {
  auto tail = [&](unsigned shift) { *out += static_cast<char>(0x80 | ((rune >> shift) & 0x3f)); };
  if (rune < 0x80) {
    *out += static_cast<char>(rune);
  } else if (rune < 0x800) {
    *out += static_cast<char>(0xc0 | (rune >> 6)), tail(0);
  } else if (rune < 0x10000) {
    *out += static_cast<char>(0xe0 | (rune >> 12)), tail(6), tail(0);
  } else {
    *out += static_cast<char>(0xf0 | (rune >> 18)), tail(12), tail(6), tail(0);
  }
}

}  // namespace

FilterScanner::FilterScanner(std::string_view text) : text_(text) {
  for (std::size_t at = 0; at < text.size();) {
    std::size_t length = utf8_length(text.substr(at));
    if (length == 0) fail("is not UTF-8", at, at + 1);
    if (text[at] == '\0') fail("unexpected null", at, at + 1);
    at += length;
  }
}

void FilterScanner::fail(const std::string& why, std::size_t begin, std::size_t end) const {
  begin = std::min(begin, text_.size()), end = std::min(end, text_.size());
  std::size_t from = begin - std::min(begin, kShownBefore);
  std::string shown = from == 0 ? "" : "...";
  shown.append(text_.substr(from, begin - from)).append(">|");
  shown.append(text_.substr(begin, std::min(end - begin, kShownAfter))).append("|<");
  shown.append(text_.substr(end, kShownAfter));
  if (text_.size() - end > kShownAfter) shown += "...";
  throw Error(Code::kInvalidArgument,
              "filter: " + why + " at position " + std::to_string(begin) + ": [" + shown + "]")
      .with("field", "filter")
      .with("value", escaped(text_, 64))
      .with("position", std::to_string(begin));
}

template <typename Is>
std::string_view FilterScanner::take_while(Is is) {
  std::size_t begin = at_;
  while (!at_end() && is(text_[at_])) ++at_;
  return text_.substr(begin, at_ - begin);
}

void FilterScanner::skip_space() { take_while(is_space); }
std::string_view FilterScanner::take_field() { return take_while(is_field); }
std::string_view FilterScanner::take_operator() { return take_while(is_operator); }
std::string_view FilterScanner::take_value() { return take_while(is_value); }

bool FilterScanner::take(char c) {
  if (at_end() || text_[at_] != c) return false;
  ++at_;
  return true;
}

std::size_t FilterScanner::end_of_quoted() const {
  for (std::size_t i = at_ + 1; i < text_.size(); ++i) {
    if (text_[i] == text_[at_]) return i + 1;
    if (text_[i] == '\\') ++i;
  }
  return std::string_view::npos;
}

std::string FilterScanner::take_quoted() {
  std::string value;
  std::size_t begin = at_;
  char quote = text_[at_++];
  while (!take(quote)) {
    if (at_end() || peek() == '\n') fail("the quote is not closed", begin, at_);
    if (take('\\'))
      take_escape(quote, &value);
    else
      value += text_[at_++];
  }
  return value;
}

void FilterScanner::take_escape(char quote, std::string* out) {
  static constexpr std::string_view kNames = "abfnrtv\\", kBytes = "\a\b\f\n\r\t\v\\";
  std::size_t begin = at_ - 1;
  char c = peek();
  auto known = at_end() ? std::string_view::npos : kNames.find(c);
  if (known != std::string_view::npos || (c == quote && !at_end())) {
    *out += c == quote ? c : kBytes[known];
    ++at_;
  } else if (c >= '0' && c <= '7') {
    unsigned byte = take_digits(3, 8);
    if (byte > 0xff) fail("an escape beyond a byte", begin, at_);
    *out += static_cast<char>(byte);
  } else if (take('x')) {
    *out += static_cast<char>(take_digits(2, 16));
  } else if (c == 'u' || c == 'U') {
    ++at_;
    unsigned rune = take_digits(c == 'u' ? 4 : 8, 16);
    if (rune > 0x10ffff || (rune >= 0xd800 && rune < 0xe000))
      fail("an escape that is no character", begin, at_);
    append_utf8(rune, out);
  } else {
    fail("an unknown escape (between quotes a backslash is written twice)", begin, at_ + 1);
  }
}

unsigned FilterScanner::take_digits(std::size_t count, int base) {
  std::string_view digits = text_.substr(at_, count);
  unsigned value = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
  if (error != std::errc() || end != digits.data() + digits.size() || digits.size() != count)
    fail("expected " + std::to_string(count) + " digits of an escape", at_, at_ + digits.size());
  at_ += count;
  return value;
}

}  // namespace ctrd::metadata
