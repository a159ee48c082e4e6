// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "temp_dir.h"

namespace ctrd {
namespace {

TEST(RemoveTreeTest, RemovesWhatIsThere) {
  TempDir dir;
  EXPECT_FALSE(remove_tree_at(dir.fd(), "no"));
  EXPECT_FALSE(remove_tree_at(dir.fd(), "no/such"));
  create_file_at(dir.fd(), "file", "x", 0600);
  EXPECT_TRUE(remove_tree_at(dir.fd(), "file"));
  make_dirs_at(dir.fd(), "a/b/c", 0700);
  create_file_at(dir.fd(), "a/b/c/f", "x", 0600);
  create_file_at(dir.fd(), "a/g", "x", 0600);
  EXPECT_TRUE(remove_tree_at(dir.fd(), "a/b"));
  EXPECT_TRUE(exists_at(dir.fd(), "a/g"));
  EXPECT_TRUE(remove_tree_at(dir.fd(), "a"));
  EXPECT_TRUE(list_dir(dir.fd()).empty());
}

TEST(RemoveTreeTest, RefusesNamesThatAreNone) {
  TempDir dir;
  for (std::string name : {"", ".", "..", "a/", "a/..", "a/."})
    EXPECT_EQ(code_of([&] { remove_tree_at(dir.fd(), name); }), Code::kInvalidArgument) << name;
}

TEST(RemoveTreeTest, NeverFollowsALink) {
  TempDir dir;
  make_dirs_at(dir.fd(), "keep", 0700);
  create_file_at(dir.fd(), "keep/f", "x", 0600);
  make_dirs_at(dir.fd(), "tree", 0700);
  ASSERT_EQ(::symlinkat("../keep", dir.fd(), "tree/link"), 0);
  ASSERT_EQ(::symlinkat("keep", dir.fd(), "top"), 0);
  EXPECT_TRUE(remove_tree_at(dir.fd(), "tree"));
  EXPECT_TRUE(remove_tree_at(dir.fd(), "top"));
  EXPECT_TRUE(exists_at(dir.fd(), "keep/f"));
}

TEST(RemoveTreeTest, HardThings) {
  TempDir dir;
  UniqueFd tree = make_dir_at(dir.fd(), "tree", 0700);
  make_dir_at(tree.get(), "locked", 0000);
  make_dir_at(tree.get(), "-rf", 0700);
  make_dir_at(tree.get(), std::string(255, 'n'), 0700);
  create_file_at(tree.get(), "new\nline", "", 0);
  create_file_at(tree.get(), "\xff\xfe", "", 0);
  ASSERT_EQ(::mkfifoat(tree.get(), "fifo", 0600), 0);
  ASSERT_EQ(::symlinkat("nowhere", tree.get(), "dangling"), 0);
  ASSERT_EQ(::mknodat(tree.get(), "whiteout", S_IFCHR, 0), 0);
  ASSERT_EQ(::linkat(tree.get(), "new\nline", tree.get(), "hardlink", 0), 0);
  EXPECT_TRUE(remove_tree_at(dir.fd(), "tree"));
  EXPECT_TRUE(list_dir(dir.fd()).empty());
}

TEST(RemoveTreeTest, AnyDepth) {
  TempDir dir;
  const std::string name(60, 'd');
  UniqueFd at = make_dir_at(dir.fd(), "deep", 0700);
  for (int depth = 0; depth < 200; ++depth) {  // a path of 12,000 bytes
    at = make_dir_at(at.get(), name, 0700);
    create_file_at(at.get(), "side", "", 0600);
  }
  EXPECT_TRUE(remove_tree_at(dir.fd(), "deep"));
  EXPECT_TRUE(list_dir(dir.fd()).empty());
}

TEST(RemoveTreeTest, ManyFiles) {
  TempDir dir;
  UniqueFd tree = make_dir_at(dir.fd(), "tree", 0700);
  for (int i = 0; i < 2000; ++i) create_file_at(tree.get(), std::to_string(i), "", 0600);
  EXPECT_TRUE(remove_tree_at(dir.fd(), "tree"));
}

}  // namespace
}  // namespace ctrd
