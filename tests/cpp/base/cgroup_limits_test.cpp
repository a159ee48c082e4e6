// SPDX-License-Identifier: Apache-2.0
#include "base/cgroup_limits.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/cgroup.h"
#include "base/process.h"
#include "base/time.h"
#include "temp_dir.h"

namespace ctrd {
namespace {

// A cgroup of the test's own, in the hierarchies that let us.
class Limits : public testing::Test {
 protected:
  void SetUp() override {
    for (const auto& mount : cgroup_mounts()) ::mkdir((mount + path_).c_str(), 0755);
    if (read("pids.max").empty()) GTEST_SKIP() << "no pids controller here can be used";
  }
  void TearDown() override { kill_cgroup(path_, {after(std::chrono::seconds(30)), {}}); }
  std::string read(const std::string& name) const {
    std::string text;
    for (const auto& dir : open_cgroup(path_))
      if (text.empty()) text = read_control(dir.get(), name);
    return text;
  }
  const std::string path_ = "/ctrd-limits-" + random_hex(4);
};

TEST_F(Limits, are_written_where_there_is_such_a_file) {
  EXPECT_TRUE(write_limit(path_, "pids.max", "7"));
  EXPECT_EQ(read("pids.max"), "7\n");
  EXPECT_FALSE(write_limit(path_, "nosuch.max", "7"));
  EXPECT_EQ(code_of([&] { write_limit(path_, "pids.max", "x"); }), Code::kInvalidArgument);
  EXPECT_EQ(code_of([] { write_limit("/other", "pids.max", "1"); }), Code::kInvalidArgument);
}

TEST_F(Limits, come_back) {
  write_limit(path_, "pids.max", "7");
  SavedLimits saved(path_);
  write_limit(path_, "pids.max", "9");
  saved.restore();
  EXPECT_EQ(read("pids.max"), "7\n");
}

// Memory with swap is never below memory, whichever of them is put back first.
TEST_F(Limits, come_back_in_both_directions) {
  if (!write_limit(path_, "memory.limit_in_bytes", "67108864"))
    GTEST_SKIP() << "memory is not v1's here";
  if (!write_limit(path_, "memory.memsw.limit_in_bytes", "67108864"))
    GTEST_SKIP() << "swap is not counted here";
  SavedLimits low(path_);
  write_limit(path_, "memory.memsw.limit_in_bytes", "268435456");
  write_limit(path_, "memory.limit_in_bytes", "268435456");
  SavedLimits high(path_);
  low.restore();
  EXPECT_EQ(read("memory.limit_in_bytes"), "67108864\n");
  EXPECT_EQ(read("memory.memsw.limit_in_bytes"), "67108864\n");
  high.restore();
  EXPECT_EQ(read("memory.limit_in_bytes"), "268435456\n");
}

TEST(LimitsGone, restoring_a_cgroup_that_has_gone_is_quiet) {
  SavedLimits("/ctrd-nosuch-cgroup").restore();
}

}  // namespace
}  // namespace ctrd
