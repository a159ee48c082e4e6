// SPDX-License-Identifier: Apache-2.0
#include "base/error.h"

#include <string.h>

#include <array>
#include <cerrno>

namespace ctrd {
namespace {

constexpr std::size_t kMaxMessage = 1024;
constexpr std::size_t kMaxValue = 64;

// Length of the valid, printable UTF-8 sequence at the front of text; 0 if there is none.
// Overlong forms, surrogates and C1 controls count as invalid. Source: Unicode 15, table 3-7
std::size_t sequence_length(std::string_view text) {
  auto byte = [&](std::size_t i) -> unsigned {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  auto in = [](unsigned value, unsigned low, unsigned high) {
    return value >= low && value <= high;
  };
  unsigned first = byte(0);
  if (in(first, 0x20, 0x7e)) return 1;
  unsigned low = first == 0xc2 ? 0xa0 : first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
  unsigned high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
  if (!in(byte(1), low, high)) return 0;
  if (in(first, 0xc2, 0xdf)) return 2;
  if (!in(byte(2), 0x80, 0xbf)) return 0;
  if (in(first, 0xe0, 0xef)) return 3;
  return in(first, 0xf0, 0xf4) && in(byte(3), 0x80, 0xbf) ? 4 : 0;
}

std::string hex_escape(char c) {
  constexpr char kDigits[] = "0123456789abcdef";
  auto value = static_cast<unsigned char>(c);
  return {'\\', 'x', kDigits[value >> 4], kDigits[value & 15]};
}

Code code_of(int err) {
  switch (err) {
    case ENOENT:
    case ENOTDIR:
    case ESRCH:
      return Code::kNotFound;
    case EEXIST:
      return Code::kAlreadyExists;
    case EACCES:
    case EPERM:
    case EROFS:
      return Code::kPermissionDenied;
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EAGAIN:
    case E2BIG:
      return Code::kResourceExhausted;
    case ECONNREFUSED:
    case ECONNRESET:
    case EPIPE:
      return Code::kUnavailable;
    case EINVAL:
    case ENAMETOOLONG:
    case ELOOP:
    case EXDEV:
      return Code::kInvalidArgument;
    case EBUSY:
    case ENOTEMPTY:
      return Code::kFailedPrecondition;
    case ETIMEDOUT:
      return Code::kDeadlineExceeded;
    case ENOSYS:
    case EOPNOTSUPP:
      return Code::kUnimplemented;
    default:
      return Code::kInternal;
  }
}

Kind kind_of(int err) {
  if (err == ENOENT || err == ENOTDIR) return Kind::kPath;
  return err == ESRCH ? Kind::kProcess : Kind::kNone;
}

std::string words_of(int err) {
  const char* words = strerrordesc_np(err);  // thread-safe, and no locale changes it
  return words ? words : "error " + std::to_string(err);
}

}  // namespace

std::string_view code_name(Code code) {
  constexpr std::array<std::string_view, 17> kNames = {"ok",
                                                       "cancelled",
                                                       "unknown",
                                                       "invalid_argument",
                                                       "deadline_exceeded",
                                                       "not_found",
                                                       "already_exists",
                                                       "permission_denied",
                                                       "resource_exhausted",
                                                       "failed_precondition",
                                                       "aborted",
                                                       "out_of_range",
                                                       "unimplemented",
                                                       "internal",
                                                       "unavailable",
                                                       "data_loss",
                                                       "unauthenticated"};
  auto index = static_cast<std::size_t>(code);
  return index < kNames.size() ? kNames[index] : "unknown";
}

std::string escaped(std::string_view text, std::size_t max) {
  constexpr std::string_view kCut = "...";
  std::string result;
  std::size_t keep = 0;  // where a cut leaves room for the dots
  while (!text.empty()) {
    std::size_t length = sequence_length(text);
    std::string piece = length ? std::string(text.substr(0, length)) : hex_escape(text[0]);
    if (result.size() + piece.size() > max) {
      result.resize(keep);
      if (max >= kCut.size()) result += kCut;
      return result;
    }
    result += piece;
    if (result.size() + kCut.size() <= max) keep = result.size();
    text.remove_prefix(length ? length : 1);
  }
  return result;
}

Error::Error(Code code, std::string message, Kind kind, int sys_errno)
    : code_(code), kind_(kind), sys_errno_(sys_errno), message_(escaped(message, kMaxMessage)) {}

Error&& Error::with(std::string key, std::string value) && {
  context_.emplace_back(std::move(key), std::move(value));
  return std::move(*this);
}

Error& Error::with(std::string key, std::string value) & {
  context_.emplace_back(std::move(key), std::move(value));
  return *this;
}

std::string_view Error::find(std::string_view key) const {
  for (const auto& [name, value] : context_)
    if (name == key) return value;
  return {};
}

Error invalid(std::string_view field, std::string_view value, std::string_view why) {
  std::string shown = escaped(value, kMaxValue);
  std::string message(field);
  message.append(": ").append(why).append(": ").append(shown.empty() ? "\"\"" : shown);
  return Error(Code::kInvalidArgument, std::move(message))
      .with("field", std::string(field))
      .with("value", std::move(shown));
}

Error not_found(Kind kind, std::string message) {
  return Error(Code::kNotFound, std::move(message), kind);
}

Error failed_precondition(std::string message, Kind kind) {
  return Error(Code::kFailedPrecondition, std::move(message), kind);
}

Error sys_error(int err, std::string what) {
  // A long path must not push the reason out of the message.
  std::string message = escaped(what, kMaxMessage - 128);
  message.append(": ").append(words_of(err));
  return Error(code_of(err), std::move(message), kind_of(err), err);
}

Error sys_error(std::string what) {
  int err = errno;
  return sys_error(err, std::move(what));
}

}  // namespace ctrd
