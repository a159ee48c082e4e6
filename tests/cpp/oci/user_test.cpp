// SPDX-License-Identifier: Apache-2.0
#include "oci/user.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/files.h"
#include "oci/scratch.h"

namespace ctrd::oci {
namespace {

using testing::ElementsAre;

class Users : public testing::Test {
 protected:
  void SetUp() override {
    scratch_.write(
        "etc/passwd",
        "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1001:Ann:/home/ann:/bin/sh\nbad line\n"
        "4242:x:0:0::/:\nhuge:x:4294967296:0::/:\nshort:x:7\nrel:x:8:8::home:\n");
    scratch_.write("etc/group",
                   "root:x:0:\nann:x:1001:\nwheel:x:10:bob,ann\nodd:x:abc:ann\ntape:x:11:annie\n");
  }
  User user(const std::string& text) { return resolve_user(text, scratch_.dir()); }
  Error refused(const std::string& text) {
    return error_of([&] { user(text); });
  }
  Scratch scratch_;
};

TEST_F(Users, names) {
  User ann = user("ann");
  EXPECT_EQ(ann.uid, 1000u);
  EXPECT_EQ(ann.gid, 1001u);
  EXPECT_THAT(ann.additional_gids, ElementsAre(10u));
  EXPECT_EQ(ann.home, "/home/ann");
  EXPECT_EQ(user("rel").home, "/");
}

TEST_F(Users, numbers) {
  EXPECT_EQ(user("1000").gid, 1001u);
  EXPECT_THAT(user("1000").additional_gids, ElementsAre(10u));
  EXPECT_EQ(user("77").uid, 77u);
  EXPECT_EQ(user("77").gid, 0u);
  EXPECT_EQ(user("2147483647").uid, 2147483647u);
  // CVE-2026-46680: a name of digits is no name.
  EXPECT_EQ(user("4242").uid, 4242u);
  EXPECT_EQ(user("007").uid, 7u);
}

TEST_F(Users, groups) {
  User ann = user("ann:wheel");
  EXPECT_EQ(ann.gid, 10u);
  EXPECT_THAT(ann.additional_gids, ElementsAre());
  EXPECT_EQ(user("0:99").gid, 99u);
  EXPECT_EQ(user("ann:0").gid, 0u);
}

TEST_F(Users, bad_texts) {
  for (const char* bad :
       {"2147483648", "4294967296", "99999999999999999999", "-1", "+1", "0:0:0", "65534 ", " ann",
        "ann:", ":ann", ":", "ann:4294967296", "a\nb", "../x", "huge"}) {
    Error error = refused(bad);
    EXPECT_EQ(error.code(), Code::kInvalidArgument) << bad;
    EXPECT_EQ(error.find("field"), "user") << bad;
  }
}

TEST_F(Users, unknown_names) {
  for (const char* bad : {"nobody", "0x0", "short", "ann:nosuch", "0:nosuch", "root ann"}) {
    Code wanted =
        std::string(bad).find(' ') == std::string::npos ? Code::kNotFound : Code::kInvalidArgument;
    EXPECT_EQ(refused(bad).code(), wanted) << bad;
  }
  EXPECT_THAT(refused("ann:nosuch").message(), testing::HasSubstr("\"nosuch\""));
}

TEST_F(Users, without_a_root) {
  EXPECT_EQ(resolve_user("5:6", -1).gid, 6u);
  EXPECT_EQ(error_of([] { resolve_user("ann", -1); }).code(), Code::kNotFound);
}

TEST_F(Users, without_files) {
  unlink_at(scratch_.dir(), "etc/passwd");
  unlink_at(scratch_.dir(), "etc/group");
  EXPECT_EQ(user("1000").uid, 1000u);
  EXPECT_EQ(refused("ann").code(), Code::kNotFound);
}

TEST_F(Users, fifo_does_not_hang) {
  unlink_at(scratch_.dir(), "etc/passwd");
  ASSERT_EQ(::mkfifo((scratch_.path() + "/etc/passwd").c_str(), 0644), 0);
  Error error = refused("ann");
  EXPECT_EQ(error.code(), Code::kInvalidArgument);
  EXPECT_EQ(error.find("field"), "user");
  EXPECT_THAT(error.message(), testing::HasSubstr("/etc/passwd"));
}

TEST_F(Users, huge_file) {
  ASSERT_EQ(::truncate((scratch_.path() + "/etc/group").c_str(), 1 << 30), 0);
  EXPECT_EQ(refused("ann").code(), Code::kResourceExhausted);
}

TEST_F(Users, symlinks_stay_inside) {
  unlink_at(scratch_.dir(), "etc/passwd");
  ASSERT_EQ(::symlink("/../../etc/own", (scratch_.path() + "/etc/passwd").c_str()), 0);
  EXPECT_EQ(refused("root").code(), Code::kNotFound);
  scratch_.write("etc/own", "root:x:5:5::/:\n");
  EXPECT_EQ(user("root").uid, 5u);
}

}  // namespace
}  // namespace ctrd::oci
