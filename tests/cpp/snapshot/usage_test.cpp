// SPDX-License-Identifier: Apache-2.0
#include "snapshot/usage.h"

#include <gtest/gtest.h>

#include "base/temp_dir.h"

namespace ctrd::snapshot {
namespace {

struct UsageTest : testing::Test {
  TempDir temp;
};

TEST_F(UsageTest, CountsBlocksAndNotHoles) {
  uint64_t empty = usage_of(temp.fd(), {}).size;
  UniqueFd file = open_at(temp.fd(), "sparse", O_RDWR | O_CREAT, 0644);
  ASSERT_EQ(::ftruncate(file.get(), 1 << 30), 0);
  EXPECT_EQ(usage_of(temp.fd(), {}).size, empty);
  create_file_at(temp.fd(), "full", std::string(100'000, 'x'), 0644);
  Usage used = usage_of(temp.fd(), {});
  EXPECT_GE(used.size, empty + 100'000);
  EXPECT_LT(used.size, empty + 200'000);
  EXPECT_EQ(used.inodes, 3u);
}

TEST_F(UsageTest, AFileWithManyNamesIsOne) {
  create_file_at(make_dirs_at(temp.fd(), "a/b", 0755).get(), "one", std::string(50'000, 'x'), 0644);
  Usage before = usage_of(temp.fd(), {});
  for (const char* name : {"two", "a/three"})
    ASSERT_EQ(::linkat(temp.fd(), "a/b/one", temp.fd(), name, 0), 0);
  Usage after = usage_of(temp.fd(), {});
  EXPECT_EQ(after.inodes, before.inodes);
  EXPECT_EQ(after.inodes, 4u);
}

TEST_F(UsageTest, FollowsNothingAndEndsInTime) {
  ASSERT_EQ(::symlinkat("/", temp.fd(), "root"), 0);
  EXPECT_EQ(usage_of(temp.fd(), {}).inodes, 2u);
  std::string deep = "d";
  for (int i = 0; i < 410; ++i) deep += "/d";
  make_dirs_at(temp.fd(), deep, 0755);
  EXPECT_EQ(code_of([&] { usage_of(temp.fd(), {}); }), Code::kResourceExhausted);
  Wait wait;
  wait.interrupted = [] { throw Error(Code::kCancelled, "enough"); };
  EXPECT_EQ(code_of([&] { usage_of(temp.fd(), wait); }), Code::kCancelled);
}

}  // namespace
}  // namespace ctrd::snapshot
