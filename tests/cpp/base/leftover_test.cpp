// SPDX-License-Identifier: Apache-2.0
// Whose a temporary name is, and when nobody's any more.
#include "base/leftover.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/process.h"

namespace ctrd {
namespace {

TEST(Leftover, OursIsNone) {
  std::string name = name_of_ours(".tmp-");
  EXPECT_TRUE(name.starts_with(".tmp-" + std::to_string(::getpid()) + "-"));
  EXPECT_NE(name, name_of_ours(".tmp-"));
  EXPECT_FALSE(is_leftover(name, ".tmp-"));
}

TEST(Leftover, OfAnEndedProcessIsOne) {
  ProcessKey self = this_process();
  std::string pid = std::to_string(self.pid);
  EXPECT_TRUE(is_leftover(".tmp-" + pid + "-" + std::to_string(self.start + 1) + "-00", ".tmp-"));
  EXPECT_TRUE(is_leftover(".tmp-999999999-1-00", ".tmp-"));
  EXPECT_FALSE(is_leftover(".tmp-999999999-1-00", ".probe-"));
}

TEST(Leftover, WhatNamesNobodyIsLeftAlone) {
  for (const char* name : {".tmp-", ".tmp-00ff", ".tmp-1", ".tmp-1-", ".tmp-1-2", ".tmp-x-1-0"})
    EXPECT_FALSE(is_leftover(name, ".tmp-")) << name;
}

}  // namespace
}  // namespace ctrd
