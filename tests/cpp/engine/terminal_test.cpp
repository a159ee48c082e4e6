// SPDX-License-Identifier: Apache-2.0
#include "engine/terminal.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <stdexcept>

#include "base/unique_fd.h"

namespace ctrd::engine {
namespace {

class TerminalTest : public ::testing::Test {
 protected:
  void SetUp() override {
    master_ = UniqueFd(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
    ASSERT_TRUE(master_);
    ASSERT_EQ(::grantpt(master_.get()), 0);
    ASSERT_EQ(::unlockpt(master_.get()), 0);
    terminal_ = UniqueFd(::open(::ptsname(master_.get()), O_RDWR | O_NOCTTY | O_CLOEXEC));
    ASSERT_TRUE(terminal_);
  }
  bool is_raw() const {
    termios now{};
    return ::tcgetattr(terminal_.get(), &now) == 0 && (now.c_lflag & (ICANON | ISIG | ECHO)) == 0;
  }

  UniqueFd master_, terminal_;
};

TEST_F(TerminalTest, RawForItsLife) {
  EXPECT_FALSE(is_raw());
  {
    RawTerminal raw(terminal_.get(), true);
    EXPECT_TRUE(is_raw());
  }
  EXPECT_FALSE(is_raw());
  RawTerminal not_wanted(terminal_.get(), false);
  EXPECT_FALSE(is_raw());
}

TEST_F(TerminalTest, AsBeforeWhateverHappens) {
  EXPECT_THROW(
      {
        RawTerminal raw(terminal_.get(), true);
        throw std::runtime_error("interrupted");
      },
      std::runtime_error);
  EXPECT_FALSE(is_raw());
}

TEST_F(TerminalTest, WhatIsNoTerminalIsLeftAlone) {
  UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  RawTerminal raw(null.get(), true);
  EXPECT_FALSE(terminal_size(null.get()));
  EXPECT_FALSE(terminal_size(-1));
}

TEST_F(TerminalTest, Size) {
  EXPECT_FALSE(terminal_size(terminal_.get()));  // 0 by 0: it does not know
  winsize size{41, 101, 0, 0};
  ASSERT_EQ(::ioctl(master_.get(), TIOCSWINSZ, &size), 0);
  EXPECT_EQ(terminal_size(terminal_.get()), (std::pair<uint16_t, uint16_t>(101, 41)));
}

}  // namespace
}  // namespace ctrd::engine
