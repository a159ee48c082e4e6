// SPDX-License-Identifier: Apache-2.0
#include "base/unique_fd.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include "temp_dir.h"

namespace ctrd {
namespace {

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

UniqueFd open_null() { return UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC)); }

TEST(UniqueFdTest, ClosesWhatItOwns) {
  int number = -1;
  {
    UniqueFd fd = open_null();
    number = fd.get();
    EXPECT_TRUE(is_open(number));
  }
  EXPECT_FALSE(is_open(number));
}

TEST(UniqueFdTest, MovesOwnership) {
  UniqueFd first = open_null();
  int number = first.get();
  UniqueFd second = std::move(first);
  EXPECT_FALSE(first);  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(second.get(), number);
  second = open_null();
  EXPECT_TRUE(second);
  int released = second.release();
  EXPECT_TRUE(is_open(released));
  UniqueFd(released).reset();
  EXPECT_FALSE(is_open(released));
}

TEST(UniqueFdTest, DuplicatesCloseOnExec) {
  UniqueFd fd = open_null();
  UniqueFd copy = fd.dup();
  EXPECT_NE(copy.get(), fd.get());
  EXPECT_EQ(::fcntl(copy.get(), F_GETFD), FD_CLOEXEC);
  EXPECT_EQ(error_of([] { UniqueFd().dup(); }).sys_errno(), EBADF);
}

}  // namespace
}  // namespace ctrd
