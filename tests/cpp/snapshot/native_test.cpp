// SPDX-License-Identifier: Apache-2.0
// Trees that are copied as they are, and the native snapshotter's directories.
#include "snapshot/native.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>

#include <thread>

#include "base/temp_dir.h"
#include "snapshot/copy_file.h"
#include "snapshot/copy_tree.h"
#include "snapshot/directory.h"

namespace ctrd::snapshot {
namespace {

using testing::ElementsAre;

std::string content(int dir, const std::string& name) { return read_file_at(dir, name, 64u << 20); }

struct CopyTest : testing::Test {
  CopyTest() : CopyTest("/tmp/ctrd-copy-XXXXXX") {}
  explicit CopyTest(std::string begin)
      : path(std::move(begin)) {  // a disk: it has user.* and holes
    if (!::mkdtemp(path.data())) throw sys_error("make " + path);
    from = make_dirs_at(open_dir(path).get(), "from", 0755);
    to = make_dirs_at(open_dir(path).get(), "to", 0755);
  }
  ~CopyTest() override { remove_tree_at(open_dir("/tmp").get(), path.substr(5)); }
  void copy() { copy_tree(from.get(), to.get(), {}); }
  struct stat facts(int dir, const std::string& name) {
    struct stat result {};
    EXPECT_EQ(::fstatat(dir, name.c_str(), &result, AT_SYMLINK_NOFOLLOW), 0) << name;
    return result;
  }
  void expect_same(const std::string& name) {
    struct stat a = facts(from.get(), name), b = facts(to.get(), name);
    EXPECT_EQ(a.st_mode, b.st_mode) << name;
    EXPECT_EQ(a.st_uid, b.st_uid) << name;
    EXPECT_EQ(a.st_gid, b.st_gid) << name;
    EXPECT_EQ(a.st_rdev, b.st_rdev) << name;
    EXPECT_EQ(a.st_nlink, b.st_nlink) << name;
    EXPECT_EQ(a.st_mtim.tv_sec, b.st_mtim.tv_sec) << name;
    EXPECT_EQ(a.st_mtim.tv_nsec, b.st_mtim.tv_nsec) << name;
    EXPECT_TRUE(S_ISDIR(a.st_mode) || a.st_size == b.st_size) << name;
  }
  void dress(const std::string& name, mode_t mode, uid_t uid, gid_t gid, time_t when) {
    EXPECT_EQ(::fchownat(from.get(), name.c_str(), uid, gid, AT_SYMLINK_NOFOLLOW), 0);
    EXPECT_TRUE(mode == 0 || ::fchmodat(from.get(), name.c_str(), mode, 0) == 0);
    const timespec times[] = {{when, 1}, {when, 123'456'789}};
    EXPECT_EQ(::utimensat(from.get(), name.c_str(), times, AT_SYMLINK_NOFOLLOW), 0);
  }
  std::string attribute(int dir, const std::string& name, const char* key) {
    char value[256];
    ssize_t size = ::lgetxattr(fd_path(dir, name).c_str(), key, value, sizeof value);
    return size < 0 ? "none" : std::string(value, static_cast<std::size_t>(size));
  }
  void set_attribute(const std::string& name, const char* key, const std::string& value) {
    ASSERT_EQ(::lsetxattr(fd_path(from.get(), name).c_str(), key, value.data(), value.size(), 0), 0)
        << key;
  }

  std::string path;
  UniqueFd from, to;
};

TEST_F(CopyTest, EveryKindOfFile) {
  make_dirs_at(from.get(), "d/e", 0700);
  create_file_at(from.get(), "d/file", "content", 0644);
  create_file_at(from.get(), "suid", "program", 0755);
  ASSERT_EQ(::symlinkat("../outside", from.get(), "link"), 0);
  ASSERT_EQ(::symlinkat("/etc/passwd", from.get(), "d/absolute"), 0);
  ASSERT_EQ(::mknodat(from.get(), "fifo", S_IFIFO | 0600, 0), 0);
  ASSERT_EQ(::mknodat(from.get(), "null", S_IFCHR | 0666, makedev(1, 3)), 0);
  ASSERT_EQ(::mknodat(from.get(), "block", S_IFBLK | 0660, makedev(7, 99)), 0);
  ASSERT_EQ(::mknodat(from.get(), "socket", S_IFSOCK | 0600, 0), 0);
  dress("d/file", 0640, 1000, 1001, 1'000'000'000);
  dress("suid", 06755, 7, 8, 1'000'000'001);
  dress("link", 0, 5, 6, 1'000'000'002);
  dress("fifo", 0611, 5, 6, 1'000'000'003);
  dress("null", 0622, 1, 2, 1'000'000'004);
  dress("socket", 0, 5, 6, 1'000'000'005);
  dress("d/e", 01777, 3, 4, 1'000'000'006);
  dress("d", 02750, 3, 4, 1'000'000'007);
  dress(".", 0711, 9, 9, 1'000'000'008);
  copy();
  for (const char* name :
       {".", "d", "d/e", "d/file", "suid", "link", "d/absolute", "fifo", "null", "block", "socket"})
    expect_same(name);
  EXPECT_EQ(content(to.get(), "d/file"), "content");
  char target[100];
  EXPECT_EQ(::readlinkat(to.get(), "link", target, sizeof target), 10);
  EXPECT_EQ(list_dir(to.get()), list_dir(from.get()));
}

TEST_F(CopyTest, HardLinksStayLinked) {
  make_dirs_at(from.get(), "a/b", 0755);
  create_file_at(from.get(), "a/b/one", "same", 0644);
  for (const char* name : {"two", "a/three"})
    ASSERT_EQ(::linkat(from.get(), "a/b/one", from.get(), name, 0), 0);
  ASSERT_EQ(::symlinkat("x", from.get(), "sym"), 0);
  ASSERT_EQ(::linkat(from.get(), "sym", from.get(), "sym2", 0), 0);
  copy();
  EXPECT_EQ(facts(to.get(), "two").st_ino, facts(to.get(), "a/b/one").st_ino);
  EXPECT_EQ(facts(to.get(), "two").st_ino, facts(to.get(), "a/three").st_ino);
  EXPECT_EQ(facts(to.get(), "sym").st_ino, facts(to.get(), "sym2").st_ino);
  EXPECT_NE(facts(to.get(), "two").st_ino, facts(from.get(), "two").st_ino);
  for (const char* name : {"two", "a/three", "sym", "sym2"}) expect_same(name);
}

TEST_F(CopyTest, HolesStayHoles) {
  UniqueFd file = open_at(from.get(), "sparse", O_RDWR | O_CREAT, 0644);
  ASSERT_EQ(::ftruncate(file.get(), 100 << 20), 0);
  ASSERT_EQ(::pwrite(file.get(), "begin", 5, 0), 5);
  ASSERT_EQ(::pwrite(file.get(), "middle", 6, 50 << 20), 6);
  create_file_at(from.get(), "empty", "", 0644);
  UniqueFd hole = open_at(from.get(), "hole", O_RDWR | O_CREAT, 0644);
  ASSERT_EQ(::ftruncate(hole.get(), 1 << 20), 0);
  copy();
  for (const char* name : {"sparse", "empty", "hole"}) expect_same(name);
  EXPECT_LT(facts(to.get(), "sparse").st_blocks * 512, 1 << 20);
  EXPECT_EQ(facts(to.get(), "hole").st_blocks, 0);
  char text[6];
  UniqueFd copied = open_at(to.get(), "sparse", O_RDONLY);
  ASSERT_EQ(::pread(copied.get(), text, 6, 50 << 20), 6);
  EXPECT_EQ(std::string(text, 6), "middle");
}

TEST_F(CopyTest, AttributesButOverlaysOwn) {
  create_file_at(from.get(), "file", "x", 0755);
  make_dirs_at(from.get(), "dir", 0755);
  ASSERT_EQ(::symlinkat("file", from.get(), "link"), 0);
  const std::string capability(
      "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", 20);
  set_attribute("file", "security.capability", capability);
  set_attribute("file", "user.note", std::string(200, 'n'));
  set_attribute("file", "trusted.empty", "");
  set_attribute("link", "trusted.link", "of the link");
  set_attribute("dir", "trusted.overlay.opaque", "y");
  set_attribute("dir", "trusted.overlay.redirect", "/etc");
  set_attribute("dir", "user.overlay.opaque", "y");
  set_attribute("dir", "trusted.other", "stays");
  set_attribute(".", "trusted.top", "of the top");
  dress("file", 0, 12, 13, 1'000'000'000);
  set_attribute("file", "security.capability", capability);  // the new owner took it
  copy();
  EXPECT_EQ(attribute(to.get(), "file", "security.capability"), capability);
  EXPECT_EQ(attribute(to.get(), "file", "user.note"), std::string(200, 'n'));
  EXPECT_EQ(attribute(to.get(), "file", "trusted.empty"), "");
  EXPECT_EQ(attribute(to.get(), "link", "trusted.link"), "of the link");
  EXPECT_EQ(attribute(to.get(), "dir", "trusted.other"), "stays");
  EXPECT_EQ(attribute(to.get(), ".", "trusted.top"), "of the top");
  for (const char* key :
       {"trusted.overlay.opaque", "trusted.overlay.redirect", "user.overlay.opaque"})
    EXPECT_EQ(attribute(to.get(), "dir", key), "none") << key;
}

TEST_F(CopyTest, BetweenFilesystems) {  // neither shared nor copied by the kernel
  std::string bytes(3'000'000, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 7 + i / 251);
  create_file_at(from.get(), "file", bytes, 0644);
  TempDir memory;
  UniqueFd target = make_dirs_at(memory.fd(), "to", 0700);
  copy_tree(from.get(), target.get(), {});
  EXPECT_EQ(content(target.get(), "file"), bytes);
}

TEST_F(CopyTest, DeepTreesAndTooDeepOnes) {
  std::string deep = "d";
  for (int i = 1; i < 190; ++i) deep += "/d";
  make_dirs_at(from.get(), deep, 0755);
  create_file_at(from.get(), deep + "/file", "deep", 0644);
  copy();
  EXPECT_EQ(content(to.get(), deep + "/file"), "deep");
  make_dirs_at(from.get(), deep + "/d/d/d/d/d/d/d/d/d/d/d/d/d/d", 0755);
  UniqueFd other = make_dirs_at(open_dir(path).get(), "other", 0755);
  EXPECT_EQ(code_of([&] { copy_tree(from.get(), other.get(), {}); }), Code::kResourceExhausted);
}

TEST_F(CopyTest, CanBeInterrupted) {
  for (int i = 0; i < 100; ++i) create_file_at(from.get(), std::to_string(i), "x", 0644);
  int asked = 0;
  Wait wait;
  wait.interrupted = [&] {
    if (++asked == 50) throw Error(Code::kCancelled, "enough");
  };
  EXPECT_EQ(code_of([&] { copy_tree(from.get(), to.get(), wait); }), Code::kCancelled);
  EXPECT_EQ(asked, 50);
}

struct NativeTest : testing::Test {
  TempDir temp;
  UniqueFd dir = make_dirs_at(temp.fd(), "snapshots", 0700);
  Native native{dir.get(), temp.path("snapshots")};
};

TEST_F(NativeTest, ASnapshotIsACopyOfItsParent) {
  auto mounts = native.active(1, {}, {});
  ASSERT_EQ(mounts.size(), 1u);
  EXPECT_EQ(mounts[0].type, "bind");
  EXPECT_EQ(mounts[0].source, temp.path("snapshots/1/fs"));
  EXPECT_THAT(mounts[0].options, ElementsAre("rbind", "rw"));
  create_file_at(dir.get(), "1/fs/file", "one", 0644);
  native.active(2, 1, {});
  replace_file_at(dir.get(), "2/fs/file", "two", 0644, false);
  create_file_at(dir.get(), "2/fs/new", "", 0644);
  EXPECT_EQ(content(dir.get(), "1/fs/file"), "one");
  EXPECT_FALSE(exists_at(dir.get(), "1/fs/new"));
  EXPECT_THAT(native.view(3, 2, {})[0].options, ElementsAre("rbind", "ro"));
  EXPECT_EQ(native.view(3, 2, {})[0].source, temp.path("snapshots/2/fs"));
  EXPECT_FALSE(exists_at(dir.get(), "3"));
  EXPECT_EQ(native.view(3, {}, {})[0].source, temp.path("snapshots/3/fs"));
  native.active(2, 1, {});  // is there: stays as it is
  EXPECT_EQ(content(dir.get(), "2/fs/file"), "two");
  EXPECT_EQ(code_of([&] { native.active(5, 4, {}); }), Code::kNotFound);
  for (uint64_t n : {1u, 2u, 3u, 3u, 4u}) remove_directory(dir.get(), n);
  EXPECT_TRUE(list_dir(dir.get()).empty());
}

TEST_F(NativeTest, OverADirectoryOfTheUsers) {
  UniqueFd bottom = make_dirs_at(temp.fd(), "bottom", 0751);
  create_file_at(bottom.get(), "file", "x", 0644);
  native.over(1, bottom.get(), {});
  EXPECT_EQ(content(dir.get(), "1/fs/file"), "x");
  struct stat facts {};
  ASSERT_EQ(::fstatat(dir.get(), "1/fs", &facts, 0), 0);
  EXPECT_EQ(facts.st_mode & 07777, 0751u);
}

TEST_F(NativeTest, WhatFailsLeavesNothing) {
  native.active(1, {}, {});
  for (int i = 0; i < 10; ++i) create_file_at(dir.get(), "1/fs/" + std::to_string(i), "x", 0644);
  Wait wait;
  int asked = 0;
  wait.interrupted = [&] {
    if (++asked == 5) throw Error(Code::kCancelled, "enough");
  };
  EXPECT_EQ(code_of([&] { native.active(2, 1, wait); }), Code::kCancelled);
  EXPECT_EQ(list_dir(dir.get()), std::vector<std::string>{"1"});
}

TEST_F(NativeTest, ManyAtATimeMakeOne) {
  native.active(1, {}, {});
  for (int i = 0; i < 50; ++i) create_file_at(dir.get(), "1/fs/" + std::to_string(i), "x", 0644);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back([&] { native.active(2, 1, {}); });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(list_dir(dir.get()), (std::vector<std::string>{"1", "2"}));
  EXPECT_EQ(list_dir(open_dir_at(dir.get(), "2/fs").get()).size(), 50u);
}

TEST_F(NativeTest, LeftoversOfEndedProcessesGo) {
  make_dirs_at(dir.get(), ".new-1-1-00/fs", 0700);  // process 1 began at another time
  native.active(1, {}, {});
  native.remove_leftovers();
  EXPECT_EQ(list_dir(dir.get()), std::vector<std::string>{"1"});
}

TEST_F(NativeTest, AChainOf128) {
  native.active(1, {}, {});
  for (uint64_t n = 2; n <= 129; ++n) {
    create_file_at(dir.get(), std::to_string(n - 1) + "/fs/" + std::to_string(n), "", 0644);
    native.active(n, n - 1, {});
  }
  EXPECT_EQ(list_dir(open_dir_at(dir.get(), "129/fs").get()).size(), 128u);
}

TEST_F(NativeTest, AFullDiskLeavesNothing) {
  std::thread([&] {
    ASSERT_EQ(::unshare(CLONE_NEWNS | CLONE_FS), 0);
    ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    ASSERT_EQ(::mount("tmpfs", temp.path("snapshots").c_str(), "tmpfs", 0, "size=1m"), 0);
    UniqueFd small = open_dir(temp.path("snapshots"));
    Native on_it(small.get(), temp.path("snapshots"));
    on_it.active(1, {}, {});
    create_file_at(small.get(), "1/fs/big", std::string(600'000, 'x'), 0644);
    EXPECT_EQ(code_of([&] { on_it.active(2, 1, {}); }), Code::kResourceExhausted);
    EXPECT_EQ(list_dir(small.get()), std::vector<std::string>{"1"});
  }).join();
}

}  // namespace
}  // namespace ctrd::snapshot
