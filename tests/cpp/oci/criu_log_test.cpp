// SPDX-License-Identifier: Apache-2.0
// What CRIU's log says, of real logs.
#include "oci/criu_log.h"

#include <gtest/gtest.h>

namespace ctrd::oci {
namespace {

constexpr const char* kHarmless =
    "(00.110518) Error (criu/util.c:1533): rlimit: Can't setup RLIMIT_NOFILE for self: Operation "
    "not permitted\n";

Error said(const std::string& words = "criu failed: type NOTIFY errno 0") {
  return Error(Code::kInternal, words, Kind::kRuntime).with("runtime", "/usr/sbin/runc");
}

TEST(CriuLog, TheFirstErrorThatMeansSomething) {
  EXPECT_EQ(first_criu_error(""), "");
  EXPECT_EQ(first_criu_error(kHarmless), "");
  EXPECT_EQ(first_criu_error("(00.1) Warn  (criu/x.c:1): nothing\nError: ipv4: not CRIU's\n"), "");
  std::string log =
      std::string("(00.000000) Version: 4.1.1\n") + kHarmless +
      "(00.3) Error (criu/sk-inet.c:191): inet: Connected TCP socket, consider using "
      "--tcp-established option.\n(00.4) Error (criu/cr-dump.c:2111): Dumping FAILED.\n";
  EXPECT_EQ(first_criu_error(log),
            "inet: Connected TCP socket, consider using --tcp-established option.");
}

struct Row {
  const char* log;
  const char* words;
  Code code;
  const char* hint;  // is in it
};
const Row kRows[] = {
    {"(0) Error (a.c:1): inet: Connected TCP socket, consider using --tcp-established option.", "",
     Code::kFailedPrecondition, "tcp=\"keep\""},
    {"(0) Error (a.c:1): unix: External socket is used. Consider using --ext-unix-sk option.", "",
     Code::kFailedPrecondition, "unix_sockets=True"},
    {"(0) Error (a.c:1): tty: Found dangling tty with sid 1 pgid 1 (pts) on peer fd 0.\n"
     "(0) Error (a.c:2): tty: Task attached to shell terminal. Consider using --shell-job option.",
     "", Code::kFailedPrecondition, "terminal=True"},
    {"(0) Error (a.c:1): sockets: Can't get 1:16 opt: Operation not supported", "",
     Code::kUnimplemented, "newer CRIU"},
    {"(0) Error (a.c:1): Can't lookup mount=42 for fd=1 path=/x", "", Code::kFailedPrecondition,
     "close it"},
    {"(0) Error (a.c:1): Can't dump nested pid namespace for 12", "", Code::kFailedPrecondition,
     ""},
    {"(0) Error (a.c:1): zombie 12 (comm sh) found while seizing", "", Code::kFailedPrecondition,
     "debugger"},
    {"(0) Error (a.c:1): unix: Can't dump half of stream unix connection.", "",
     Code::kFailedPrecondition, "close the connection"},
    {"(0) Error (a.c:1): unix: Unix socket 1 without peer 2", "", Code::kFailedPrecondition,
     "network=\"host\""},
    {"(0) Error (a.c:1): exited, status=1\n(0) Error (a.c:2): net: Locking network failed: "
     "iptables-restore",
     "", Code::kUnimplemented, "iptables"},
    {"", "CRIU version check failed: exec: \"criu\": executable file not found in $PATH",
     Code::kUnimplemented, "install criu"},
    {"", "unknown command checkpoint", Code::kUnimplemented, "+CRIU"},
    {"(0) Error (a.c:1): Can't write: No space left on device", "", Code::kResourceExhausted, ""},
    {"(0) Error (a.c:1): something new", "", Code::kInternal, ""},
};

TEST(CriuLog, IsATypedError) {
  for (const Row& row : kRows) {
    Error error = criu_error(said(*row.words ? row.words : "it failed"),
                             std::string(kHarmless) + row.log, "/b/criu.log");
    EXPECT_EQ(error.code(), row.code) << row.log << row.words;
    EXPECT_EQ(error.kind(), row.code == Code::kInternal ? Kind::kRuntime : Kind::kCheckpoint);
    EXPECT_NE(error.find("hint").find(row.hint), std::string::npos) << error.message();
    EXPECT_EQ(error.find("log_path"), "/b/criu.log");
    EXPECT_EQ(error.find("runtime"), "/usr/sbin/runc");
  }
}

TEST(CriuLog, ADeadlineStaysOne) {
  Error late(Code::kDeadlineExceeded, "it had not ended", Kind::kNone);
  EXPECT_EQ(criu_error(late, kHarmless, "").code(), Code::kDeadlineExceeded);
}

}  // namespace
}  // namespace ctrd::oci
