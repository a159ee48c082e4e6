// SPDX-License-Identifier: Apache-2.0
#include "base/error.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace ctrd {
namespace {

TEST(ErrorTest, NamesEveryCode) {
  EXPECT_EQ(code_name(Code::kOk), "ok");
  EXPECT_EQ(code_name(Code::kInvalidArgument), "invalid_argument");
  EXPECT_EQ(code_name(Code::kDeadlineExceeded), "deadline_exceeded");
  EXPECT_EQ(code_name(Code::kNotFound), "not_found");
  EXPECT_EQ(code_name(Code::kAlreadyExists), "already_exists");
  EXPECT_EQ(code_name(Code::kPermissionDenied), "permission_denied");
  EXPECT_EQ(code_name(Code::kResourceExhausted), "resource_exhausted");
  EXPECT_EQ(code_name(Code::kFailedPrecondition), "failed_precondition");
  EXPECT_EQ(code_name(Code::kUnimplemented), "unimplemented");
  EXPECT_EQ(code_name(Code::kUnavailable), "unavailable");
  EXPECT_EQ(code_name(Code::kUnauthenticated), "unauthenticated");
  EXPECT_EQ(code_name(static_cast<Code>(99)), "unknown");
  EXPECT_EQ(code_name(static_cast<Code>(-1)), "unknown");
}

struct ErrnoRow {
  int err;
  Code code;
  Kind kind;
};

TEST(ErrorTest, MapsErrno) {
  constexpr ErrnoRow kRows[] = {
      {ENOENT, Code::kNotFound, Kind::kPath},
      {ENOTDIR, Code::kNotFound, Kind::kPath},
      {ESRCH, Code::kNotFound, Kind::kProcess},
      {EEXIST, Code::kAlreadyExists, Kind::kNone},
      {EACCES, Code::kPermissionDenied, Kind::kNone},
      {EPERM, Code::kPermissionDenied, Kind::kNone},
      {EROFS, Code::kPermissionDenied, Kind::kNone},
      {ENOSPC, Code::kResourceExhausted, Kind::kNone},
      {EDQUOT, Code::kResourceExhausted, Kind::kNone},
      {EMFILE, Code::kResourceExhausted, Kind::kNone},
      {ENFILE, Code::kResourceExhausted, Kind::kNone},
      {ENOMEM, Code::kResourceExhausted, Kind::kNone},
      {EAGAIN, Code::kResourceExhausted, Kind::kNone},
      {E2BIG, Code::kResourceExhausted, Kind::kNone},
      {ECONNREFUSED, Code::kUnavailable, Kind::kNone},
      {ECONNRESET, Code::kUnavailable, Kind::kNone},
      {EPIPE, Code::kUnavailable, Kind::kNone},
      {EINVAL, Code::kInvalidArgument, Kind::kNone},
      {ENAMETOOLONG, Code::kInvalidArgument, Kind::kNone},
      {ELOOP, Code::kInvalidArgument, Kind::kNone},
      {EXDEV, Code::kInvalidArgument, Kind::kNone},
      {ETIMEDOUT, Code::kDeadlineExceeded, Kind::kNone},
      {ENOSYS, Code::kUnimplemented, Kind::kNone},
      {EOPNOTSUPP, Code::kUnimplemented, Kind::kNone},
      {EBUSY, Code::kFailedPrecondition, Kind::kNone},
      {ENOTEMPTY, Code::kFailedPrecondition, Kind::kNone},
      {EIO, Code::kInternal, Kind::kNone},
      {12345, Code::kInternal, Kind::kNone},
  };
  for (const auto& row : kRows) {
    Error error = sys_error(row.err, "open /x");
    EXPECT_EQ(error.code(), row.code) << row.err;
    EXPECT_EQ(error.kind(), row.kind) << row.err;
    EXPECT_EQ(error.sys_errno(), row.err);
  }
}

TEST(ErrorTest, SaysWhatAndWhy) {
  EXPECT_EQ(sys_error(ENOENT, "open /x").message(), "open /x: No such file or directory");
  EXPECT_EQ(sys_error(12345, "open /x").message(), "open /x: error 12345");
  errno = EACCES;
  EXPECT_EQ(sys_error("open /y").sys_errno(), EACCES);
}

TEST(ErrorTest, KeepsTheReasonOfALongPath) {
  std::string message = sys_error(ENOENT, "open " + std::string(5000, 'p')).message();
  EXPECT_LE(message.size(), 1024u);
  EXPECT_NE(message.find("...: No such file"), std::string::npos);
}

TEST(ErrorTest, CutsAndEscapesTheMessage) {
  Error error(Code::kInternal, std::string(3000, 'x') + "\n");
  EXPECT_EQ(error.message().size(), 1024u);
  EXPECT_STREQ(Error(Code::kInternal, std::string("a\0b\n", 4)).what(), "a\\x00b\\x0a");
}

TEST(ErrorTest, InvalidNamesFieldAndValue) {
  Error error = invalid("labels.a", "b\tc", "must be short");
  EXPECT_EQ(error.code(), Code::kInvalidArgument);
  EXPECT_EQ(error.message(), "labels.a: must be short: b\\x09c");
  EXPECT_EQ(error.find("field"), "labels.a");
  EXPECT_EQ(error.find("value"), "b\\x09c");
  EXPECT_EQ(error.find("other"), "");
  EXPECT_EQ(invalid("id", "", "must not be empty").message(), "id: must not be empty: \"\"");
  EXPECT_LE(invalid("id", std::string(500, 'y'), "is long").find("value").size(), 64u);
}

TEST(ErrorTest, CarriesContext) {
  Error error = not_found(Kind::kTask, "no task").with("id", "c1").with("pid", "7");
  EXPECT_EQ(error.kind(), Kind::kTask);
  EXPECT_EQ(error.context(), (Context{{"id", "c1"}, {"pid", "7"}}));
  error.with("more", "1");
  EXPECT_EQ(error.find("more"), "1");
  EXPECT_EQ(failed_precondition("it runs", Kind::kContainer).kind(), Kind::kContainer);
}

TEST(EscapedTest, Table) {
  struct {
    std::string_view in, out;
  } rows[] = {
      {"plain /path", "plain /path"},
      {"", ""},
      {"\x7f\x1b[0m", "\\x7f\\x1b[0m"},
      {"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x90\xb3",
       "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x90\xb3"},
      {"\xff\xfe", "\\xff\\xfe"},
      {"\xc3", "\\xc3"},                             // cut short
      {"\xc0\xaf", "\\xc0\\xaf"},                    // overlong
      {"\xed\xa0\x80", "\\xed\\xa0\\x80"},           // a surrogate
      {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"},  // beyond Unicode
      {"\xc2\x85", "\\xc2\\x85"},                    // C1
      {"back\\slash", "back\\slash"},                // so that escaping twice changes nothing
  };
  for (const auto& row : rows) EXPECT_EQ(escaped(row.in), row.out);
}

TEST(EscapedTest, CutsBetweenCharacters) {
  EXPECT_EQ(escaped("abcdef", 6), "abcdef");
  EXPECT_EQ(escaped("abcdefg", 6), "abc...");
  EXPECT_EQ(escaped("ab\xe2\x82\xac"
                    "cdef",
                    7),
            "ab...");
  EXPECT_EQ(escaped("\n\n\n", 8), "\\x0a...");
  EXPECT_EQ(escaped("abc", 2), "");
  EXPECT_EQ(escaped("abc", 0), "");
}

}  // namespace
}  // namespace ctrd
