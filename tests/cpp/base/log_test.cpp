// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace ctrd {
namespace {

std::vector<std::pair<Level, std::string>> said;

void remember(Level level, std::string_view message) { said.emplace_back(level, message); }

class LogTest : public testing::Test {
 protected:
  void SetUp() override { said.clear(); }
  void TearDown() override {
    set_log_sink(nullptr);
    set_log_level(Level::kWarning);
  }
};

TEST_F(LogTest, SaysNothingWithoutASink) {
  set_log_level(Level::kDebug);
  EXPECT_FALSE(log_enabled(Level::kError));
  log(Level::kError, "unheard");
  EXPECT_TRUE(said.empty());
}

TEST_F(LogTest, SaysWhatIsImportantEnough) {
  set_log_sink(remember);
  set_log_level(Level::kInfo);
  log(Level::kDebug, "no");
  log(Level::kInfo, "yes");
  log(Level::kError, "yes too");
  EXPECT_FALSE(log_enabled(Level::kDebug));
  EXPECT_TRUE(log_enabled(Level::kInfo));
  ASSERT_EQ(said.size(), 2u);
  EXPECT_EQ(said[0], std::make_pair(Level::kInfo, std::string("yes")));
  EXPECT_EQ(said[1].second, "yes too");
}

TEST_F(LogTest, WarnsByDefault) {
  set_log_sink(remember);
  EXPECT_TRUE(log_enabled(Level::kWarning));
  EXPECT_FALSE(log_enabled(Level::kInfo));
}

}  // namespace
}  // namespace ctrd
