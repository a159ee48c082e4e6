// SPDX-License-Identifier: Apache-2.0
// The one error of the house. Every failure that a caller may see is a ctrd::Error: a gRPC code
// (what the caller could do about it), a kind (which subclass Python raises) and a message that
// says what was tried, on what, and why. Not for control flow: where a caller would catch, there is
// a find_* that returns an optional.
#pragma once

#include <cstdint>
#include <exception>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ctrd {

// gRPC's numbers. Source: google.rpc.Code
enum class Code : int {
  kOk = 0,
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16,
};

// What it is about: (code, kind) picks the Python class. Source: design.md 9.
enum class Kind : int {
  kNone = 0,
  kContainer = 1,
  kTask = 2,
  kProcess = 3,
  kImage = 4,
  kCheckpoint = 5,
  kPath = 6,
  kRoot = 7,
  kFork = 8,
  kRuntime = 9,
  kExit = 10,
};

// "not_found" and so on: Python's Error.code.
std::string_view code_name(Code code);

// Short key/value pairs beside the message: "field", "value", "holder_pid", "log_tail" ...
using Context = std::vector<std::pair<std::string, std::string>>;

class Error : public std::exception {
 public:
  // message: control characters are escaped and it is cut to 1 KiB here, so nobody else needs to.
  Error(Code code, std::string message, Kind kind = Kind::kNone, int sys_errno = 0);

  Error&& with(std::string key, std::string value) &&;  // adds a context pair
  Error& with(std::string key, std::string value) &;

  Code code() const { return code_; }
  Kind kind() const { return kind_; }
  const std::string& message() const { return message_; }
  int sys_errno() const { return sys_errno_; }
  const Context& context() const { return context_; }
  std::string_view find(std::string_view key) const;  // a context value, "" if absent
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  Code code_;
  Kind kind_;
  int sys_errno_;
  std::string message_;
  Context context_;
};

// What most checks throw: "<field>: <why>: <value>" with context field and value (the value cut to
// 64 bytes).
Error invalid(std::string_view field, std::string_view value, std::string_view why);
Error not_found(Kind kind, std::string message);
Error failed_precondition(std::string message, Kind kind = Kind::kNone);

// errno's only way to become an Error: "<what>: <strerror>". ENOENT/ENOTDIR not found (kPath),
// EEXIST already exists, EACCES/EPERM/EROFS permission denied,
// ENOSPC/EDQUOT/EMFILE/ENFILE/ENOMEM/EAGAIN/E2BIG resource exhausted, ECONNREFUSED/ECONNRESET/EPIPE
// unavailable, EINVAL/ENAMETOOLONG/ELOOP/EXDEV invalid argument, ETIMEDOUT deadline exceeded,
// ENOSYS/EOPNOTSUPP unimplemented, EBUSY/ENOTEMPTY failed precondition, ESRCH not found (kProcess),
// else internal.
Error sys_error(int err, std::string what);
// The same for the current errno.
Error sys_error(std::string what);

// Printable form of foreign text: control characters and invalid UTF-8 as \xNN, cut to max bytes.
std::string escaped(std::string_view text, std::size_t max = 1024);

}  // namespace ctrd
