// SPDX-License-Identifier: Apache-2.0
#include "base/mountinfo.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace ctrd {
namespace {

TEST(MountinfoTest, ReadsLines) {
  auto entries = parse_mountinfo(
      "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue\n"
      "37 35 0:24 / /a\\040b\\134c rw shared:2 master:1 - overlay none rw,lowerdir=/x:/y\n"
      "38 35 0:25 / /t rw - tmpfs  rw\n");
  ASSERT_EQ(entries.size(), 3u);
  EXPECT_EQ(entries[0],
            (MountEntry{"98:0", "/mnt1", "/mnt2", "ext3", "/dev/root", "rw,errors=continue"}));
  EXPECT_EQ(entries[1].target, "/a b\\c");
  EXPECT_EQ(entries[1].options, "rw,lowerdir=/x:/y");
  EXPECT_EQ(entries[2].source, "");
  EXPECT_EQ(entries[2].options, "rw");
}

TEST(MountinfoTest, LeavesOutWhatIsNoLine) {
  for (std::string text :
       {"", "\n", "garbage", "1 2 3 4 5 6 7 8 9 10 11", "36 35 98:0 / /a rw - ext3",
        "36 35 98:0 / /a rw - ext3 x", " - - - - - - - "})
    EXPECT_TRUE(parse_mountinfo(text).empty()) << text;
  EXPECT_EQ(parse_mountinfo("1 2 0:1 / /x\\04 rw - t s o").front().target, "/x\\04");
  EXPECT_EQ(parse_mountinfo("1 2 0:1 / \\ rw - t s o").front().target, "\\");
}

TEST(MountinfoTest, KnowsProc) {
  auto entries = read_mountinfo();
  EXPECT_TRUE(std::any_of(entries.begin(), entries.end(), [](const MountEntry& entry) {
    return entry.target == "/proc" && entry.type == "proc";
  }));
}

}  // namespace
}  // namespace ctrd
