// SPDX-License-Identifier: Apache-2.0
#include "base/open_files.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/files.h"
#include "temp_dir.h"

namespace ctrd {
namespace {

OpenFile look(int fd) {
  auto all = open_files(::getpid());
  EXPECT_TRUE(std::is_sorted(all.begin(), all.end(),
                             [](const OpenFile& a, const OpenFile& b) { return a.fd < b.fd; }));
  auto found = std::find_if(all.begin(), all.end(), [&](const OpenFile& f) { return f.fd == fd; });
  EXPECT_NE(found, all.end());
  return found == all.end() ? OpenFile{} : *found;
}

TEST(OpenFiles, AFileAndItsLock) {
  TempDir dir;
  UniqueFd file = open_at(dir.fd(), "a", O_WRONLY | O_CREAT);
  OpenFile found = look(file.get());
  EXPECT_TRUE(found.link.ends_with("/a")) << found.link;
  EXPECT_TRUE(S_ISREG(found.mode));
  EXPECT_TRUE(mount_ids(::getpid()).contains(found.mount_id));
  EXPECT_FALSE(found.is_locked);
  ASSERT_EQ(::flock(file.get(), LOCK_EX), 0);
  EXPECT_TRUE(look(file.get()).is_locked);
}

TEST(OpenFiles, WhatTheKernelNames) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  UniqueFd read(ends[0]), write(ends[1]), event(::eventfd(0, EFD_CLOEXEC));
  UniqueFd memory(::memfd_create("a", MFD_CLOEXEC));
  OpenFile pipe = look(read.get());
  EXPECT_EQ(pipe.link, "pipe:[" + std::to_string(pipe.inode) + "]");
  EXPECT_FALSE(mount_ids(::getpid()).contains(pipe.mount_id));
  EXPECT_EQ(look(event.get()).link, "anon_inode:[eventfd]");
  EXPECT_EQ(look(memory.get()).link, "/memfd:a (deleted)");
}

TEST(OpenFiles, OfADevice) {
  UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  struct stat facts {};
  ASSERT_EQ(::fstat(null.get(), &facts), 0);
  OpenFile found = look(null.get());
  EXPECT_TRUE(S_ISCHR(found.mode));
  EXPECT_EQ(found.device, facts.st_rdev);
}

TEST(OpenFiles, OfNobody) {
  pid_t none = 0x3fffffff;  // above every pid_max
  EXPECT_TRUE(open_files(none).empty());
  EXPECT_TRUE(mount_ids(none).empty());
}

}  // namespace
}  // namespace ctrd
