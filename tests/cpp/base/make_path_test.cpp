// SPDX-License-Identifier: Apache-2.0
#include "base/make_path.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "base/temp_dir.h"

namespace ctrd {
namespace {

namespace fs = std::filesystem;

mode_t mode_of(const std::string& path) {
  struct stat facts {};
  EXPECT_EQ(::stat(path.c_str(), &facts), 0) << path;
  return facts.st_mode & 07777;
}

TEST(MakePath, MakesWhatIsMissing) {
  TempDir temp;
  std::string top = temp.path();
  mode_t before = ::umask(0077);
  make_path(top + "/a/b//c", 0711, 0755);
  ::umask(before);
  EXPECT_EQ(mode_of(top + "/a"), 0700);  // as the umask has it
  EXPECT_EQ(mode_of(top + "/a/b/c"), 0711);
  make_path(top + "/a/b/d/", 0700, 0700);
  EXPECT_EQ(mode_of(top + "/a/b/d"), 0700);
}

TEST(MakePath, LeavesWhatIsThere) {
  TempDir temp;
  std::string top = temp.path();
  make_path(top + "/a", 0750, 0755);
  make_path(top + "/a", 0700, 0755);
  EXPECT_EQ(mode_of(top + "/a"), 0750);
  make_path("/", 0700, 0700);
  fs::create_directory_symlink(top + "/a", top + "/link");
  make_path(top + "/link/x", 0700, 0755);
  EXPECT_TRUE(fs::is_directory(top + "/a/x"));
}

TEST(MakePath, SaysWhatCannotBe) {
  TempDir temp;
  std::string top = temp.path();
  std::ofstream(top + "/file") << "x";
  Error through = error_of([&] { make_path(top + "/file/a/b", 0700, 0755); });
  EXPECT_EQ(through.sys_errno(), ENOTDIR);
  EXPECT_NE(through.message().find(top + "/file/a"), std::string::npos);
  fs::create_symlink("nowhere", top + "/dangling");
  EXPECT_EQ(error_of([&] { make_path(top + "/dangling/a", 0700, 0755); }).sys_errno(), ENOENT);
  EXPECT_EQ(error_of([&] { make_path("", 0700, 0755); }).sys_errno(), ENOENT);
}

}  // namespace
}  // namespace ctrd
