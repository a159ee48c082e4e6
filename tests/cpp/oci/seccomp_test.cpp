// SPDX-License-Identifier: Apache-2.0
#include "oci/seccomp.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "oci/scratch.h"

namespace ctrd::oci {
namespace {

using testing::Contains;
using testing::Not;

Json names_with(const Json& profile, const char* action) {
  for (const Json& rule : profile["syscalls"]) {
    if (rule["action"] == action && !rule.contains("args")) return rule["names"];
  }
  return {};
}

TEST(DefaultSeccomp, one_architecture_and_errno) {
  Json profile = default_seccomp({});
  EXPECT_EQ(profile["architectures"].size(), 1u);
  EXPECT_EQ(profile["defaultAction"], "SCMP_ACT_ERRNO");
  EXPECT_EQ(profile["defaultErrnoRet"], ENOSYS);
  EXPECT_GT(names_with(profile, "SCMP_ACT_ALLOW").size(), 280u);
  for (const char* name :
       {"mount", "keyctl", "bpf", "io_uring_setup", "setns", "unshare", "userfaultfd"}) {
    EXPECT_THAT(names_with(profile, "SCMP_ACT_ERRNO"), Contains(name));
    EXPECT_THAT(names_with(profile, "SCMP_ACT_ALLOW"), Not(Contains(name)));
  }
  EXPECT_NO_THROW(check_seccomp({&profile, "seccomp"}));
}

TEST(DefaultSeccomp, capabilities_widen_it) {
  Json profile = default_seccomp({"CAP_SYS_ADMIN", "CAP_SYS_CHROOT"});
  for (const char* name : {"mount", "unshare", "chroot"}) {
    EXPECT_THAT(names_with(profile, "SCMP_ACT_ALLOW"), Contains(name));
    EXPECT_THAT(names_with(profile, "SCMP_ACT_ERRNO"), Not(Contains(name)));
  }
  EXPECT_THAT(names_with(profile, "SCMP_ACT_ERRNO"), Contains("reboot"));
}

// Each family, as the kernel reads it (an int), by the rules for socket's first argument.
std::string verdict(const Json& profile, uint64_t family) {
  for (const Json& rule : profile["syscalls"]) {
    if (!rule.contains("args") || rule["names"][0] != "socket") continue;
    const Json& arg = rule["args"][0];
    if ((family & arg["value"].get<uint64_t>()) == arg["valueTwo"].get<uint64_t>())
      return rule["action"];
  }
  return "default";
}

TEST(DefaultSeccomp, socket_families) {
  Json profile = default_seccomp({});
  for (uint64_t family = 0; family < 48; ++family) {
    bool refused = family == 38 || family == 40;
    EXPECT_EQ(verdict(profile, family), refused ? "SCMP_ACT_ERRNO" : "SCMP_ACT_ALLOW") << family;
  }
  EXPECT_EQ(verdict(profile, (1ull << 32) + 38), "SCMP_ACT_ERRNO");
  EXPECT_EQ(verdict(profile, 48), "default");
}

void expect_refused(const char* text, const char* field) {
  Json profile = Json::parse(text);
  Error error = error_of([&] { check_seccomp({&profile, "seccomp"}); });
  EXPECT_EQ(error.code(), Code::kInvalidArgument);
  EXPECT_EQ(error.find("field"), field) << text;
}

TEST(CheckSeccomp, bad_profiles) {
  expect_refused("{}", "seccomp.defaultAction");
  expect_refused(R"({"defaultAction":"SCMP_ACT_FOO"})", "seccomp.defaultAction");
  expect_refused(R"({"defaultAction":"SCMP_ACT_ALLOW","syscalls":{}})", "seccomp.syscalls");
  expect_refused(R"({"defaultAction":"SCMP_ACT_ALLOW","syscalls":[1]})", "seccomp.syscalls[0]");
  expect_refused(R"({"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["x"],"action":"NO"}]})",
                 "seccomp.syscalls[0].action");
  expect_refused(R"({"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"action":"SCMP_ACT_ALLOW"}]})",
                 "seccomp.syscalls[0].names");
  expect_refused(
      R"({"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["x"],"action":"SCMP_ACT_ALLOW","includes":{"caps":["A"]}}]})",
      "seccomp.syscalls[0].includes");
}

}  // namespace
}  // namespace ctrd::oci
