// SPDX-License-Identifier: Apache-2.0
#include "base/files.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>

#include "temp_dir.h"

namespace ctrd {
namespace {

mode_t mode_at(int dir, const std::string& name) {
  struct stat facts {};
  EXPECT_EQ(::fstatat(dir, name.c_str(), &facts, AT_SYMLINK_NOFOLLOW), 0);
  return facts.st_mode & 07777;
}

// outside/secret, and root/ with ways that try to get there.
class EscapeTest : public testing::Test {
 protected:
  void SetUp() override {
    make_dirs_at(dir_.fd(), "outside/sub", 0755);
    create_file_at(dir_.fd(), "outside/secret", "secret", 0600);
    root_ = make_dirs_at(dir_.fd(), "root", 0755);
    create_file_at(root_.get(), "inside", "inside", 0600);
    link("../outside", "up");
    link(dir_.path("outside"), "absolute");
    link("../outside/secret", "file");
    link("/inside", "rooted");
    link("/proc/self/fd", "magic");
    link("loop", "loop");
  }
  void link(const std::string& to, const std::string& name) {
    ASSERT_EQ(::symlinkat(to.c_str(), root_.get(), name.c_str()), 0);
  }

  TempDir dir_;
  UniqueFd root_;
};

TEST_F(EscapeTest, NoWayLeadsOutside) {
  for (std::string name : {"up/secret", "absolute/secret", "file", "../outside/secret", "rooted",
                           "up/../outside/secret", "loop", "./../outside/secret"}) {
    EXPECT_EQ(code_of([&] { open_at(root_.get(), name, O_RDONLY); }), Code::kInvalidArgument)
        << name;
    EXPECT_EQ(code_of([&] { read_file_at(root_.get(), name); }), Code::kInvalidArgument) << name;
    EXPECT_EQ(code_of([&] { find_file_at(root_.get(), name); }), Code::kInvalidArgument) << name;
  }
  EXPECT_EQ(code_of([&] { open_at(root_.get(), dir_.path("outside/secret"), O_RDONLY); }),
            Code::kInvalidArgument);
}

TEST_F(EscapeTest, NothingIsWrittenOutside) {
  int root = root_.get();
  for (std::string name : {"up/new", "absolute/new", "../outside/new"}) {
    EXPECT_EQ(code_of([&] { create_file_at(root, name, "", 0600); }), Code::kInvalidArgument);
    EXPECT_EQ(code_of([&] { replace_file_at(root, name, "", 0600, false); }),
              Code::kInvalidArgument);
    EXPECT_EQ(code_of([&] { make_dir_at(root, name, 0700); }), Code::kInvalidArgument);
    EXPECT_EQ(code_of([&] { make_dirs_at(root, name + "/a", 0700); }), Code::kInvalidArgument);
    EXPECT_EQ(code_of([&] { rename_at(root, "inside", root, name); }), Code::kInvalidArgument);
  }
  for (std::string name : {"up/secret", "../outside/secret"})
    EXPECT_EQ(code_of([&] { unlink_at(root, name); }), Code::kInvalidArgument);
  for (std::string name : {"up/sub", "../outside/sub"})
    EXPECT_EQ(code_of([&] { remove_tree_at(root, name); }), Code::kInvalidArgument);
  UniqueFd outside = open_dir(dir_.path("outside"));
  EXPECT_EQ(list_dir(outside.get()), (std::vector<std::string>{"secret", "sub"}));
}

TEST_F(EscapeTest, InRootSymlinksStayInside) {
  EXPECT_EQ(read_file(open_in_root(root_.get(), "rooted", O_RDONLY).get()), "inside");
  EXPECT_EQ(read_file(open_in_root(root_.get(), "/inside", O_RDONLY).get()), "inside");
  EXPECT_EQ(read_file(open_in_root(root_.get(), "../../inside", O_RDONLY).get()), "inside");
  for (std::string name : {"up/secret", "absolute/secret", "file"})
    EXPECT_EQ(code_of([&] { open_in_root(root_.get(), name, O_RDONLY); }), Code::kNotFound) << name;
  EXPECT_EQ(code_of([&] { open_in_root(root_.get(), "loop", O_RDONLY); }), Code::kInvalidArgument);
}

TEST_F(EscapeTest, ReplaceReplacesTheLinkItself) {
  replace_file_at(root_.get(), "file", "new", 0600, false);
  EXPECT_EQ(read_file_at(root_.get(), "file"), "new");
  EXPECT_EQ(read_file_at(dir_.fd(), "outside/secret"), "secret");
}

TEST_F(EscapeTest, ExistsSeesALinkButNotThroughIt) {
  EXPECT_TRUE(exists_at(root_.get(), "inside"));
  EXPECT_TRUE(exists_at(root_.get(), "file"));
  EXPECT_TRUE(exists_at(root_.get(), "loop"));
  EXPECT_FALSE(exists_at(root_.get(), "nothing"));
  EXPECT_FALSE(exists_at(root_.get(), "inside/below"));
  EXPECT_FALSE(exists_at(root_.get(), "no/such"));
  EXPECT_EQ(code_of([&] { exists_at(root_.get(), "up/secret"); }), Code::kInvalidArgument);
}

TEST(FilesTest, OpensAndFinds) {
  TempDir dir;
  make_dirs_at(dir.fd(), "a/b", 0755);
  EXPECT_TRUE(open_dir_at(dir.fd(), "a/b"));
  EXPECT_TRUE(find_dir_at(dir.fd(), "a"));
  EXPECT_FALSE(find_dir_at(dir.fd(), "c"));
  EXPECT_FALSE(find_at(dir.fd(), "a/c", O_RDONLY));
  EXPECT_FALSE(find_file_at(dir.fd(), "a/c"));
  EXPECT_EQ(::fcntl(open_dir_at(dir.fd(), "a").get(), F_GETFD), FD_CLOEXEC);
  Error error = error_of([&] { open_dir_at(dir.fd(), "a/c"); });
  EXPECT_EQ(error.code(), Code::kNotFound);
  EXPECT_NE(error.message().find(dir.path("a/c")), std::string::npos) << error.what();
  EXPECT_EQ(code_of([&] { open_dir(dir.path("zzz")); }), Code::kNotFound);
  EXPECT_EQ(code_of([&] { find_at(dir.fd(), std::string("a\0b", 3), O_RDONLY); }),
            Code::kInvalidArgument);
}

TEST(FilesTest, MakesDirectoriesWithTheirMode) {
  TempDir dir;
  mode_t before = ::umask(077);
  make_dirs_at(dir.fd(), "x/y/z", 0751);
  make_dir_at(dir.fd(), "x/new", 0711);
  create_file_at(dir.fd(), "x/file", "data", 0644);
  replace_file_at(dir.fd(), "x/other", "data", 0640, true);
  ::umask(before);
  EXPECT_EQ(mode_at(dir.fd(), "x"), 0751u);
  EXPECT_EQ(mode_at(dir.fd(), "x/y/z"), 0751u);
  EXPECT_EQ(mode_at(dir.fd(), "x/new"), 0711u);
  EXPECT_EQ(mode_at(dir.fd(), "x/file"), 0644u);
  EXPECT_EQ(mode_at(dir.fd(), "x/other"), 0640u);
  make_dirs_at(dir.fd(), "x//y/", 0700);  // existing ones are left alone
  EXPECT_EQ(mode_at(dir.fd(), "x/y"), 0751u);
  EXPECT_EQ(code_of([&] { make_dir_at(dir.fd(), "x/new", 0700); }), Code::kAlreadyExists);
  EXPECT_EQ(code_of([&] { make_dir_at(dir.fd(), "no/new", 0700); }), Code::kNotFound);
  EXPECT_EQ(code_of([&] { make_dirs_at(dir.fd(), "x/file/sub", 0700); }), Code::kNotFound);
  for (std::string name : {"", ".", "..", "x/", "x/.."})
    EXPECT_EQ(code_of([&] { make_dir_at(dir.fd(), name, 0700); }), Code::kInvalidArgument) << name;
}

TEST(FilesTest, ReadsWholeFilesUpToABound) {
  TempDir dir;
  std::string big(100'000, 'x');
  create_file_at(dir.fd(), "empty", "", 0600);
  create_file_at(dir.fd(), "big", big, 0600);
  EXPECT_EQ(read_file_at(dir.fd(), "empty"), "");
  EXPECT_EQ(read_file_at(dir.fd(), "empty", 0), "");
  EXPECT_EQ(read_file_at(dir.fd(), "big"), big);
  EXPECT_EQ(read_file_at(dir.fd(), "big", big.size()), big);
  EXPECT_EQ(code_of([&] { read_file_at(dir.fd(), "big", big.size() - 1); }),
            Code::kResourceExhausted);
  // A file that says it is empty and is not.
  UniqueFd proc = open_dir("/proc/self");
  EXPECT_GT(read_file_at(proc.get(), "status").size(), 100u);
  EXPECT_EQ(code_of([&] { read_file_at(proc.get(), "status", 10); }), Code::kResourceExhausted);
}

TEST(FilesTest, ReadsFromTheStartWhateverTheOffset) {
  TempDir dir;
  UniqueFd file = open_at(dir.fd(), "f", O_RDWR | O_CREAT);
  write_all(file.get(), "content");
  EXPECT_EQ(read_file(file.get()), "content");
}

TEST(FilesTest, OnlyRegularFilesAreRead) {
  TempDir dir;
  ASSERT_EQ(::mkfifoat(dir.fd(), "fifo", 0600), 0);
  make_dir_at(dir.fd(), "dir", 0700);
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  dir.path("socket").copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  for (std::string name : {"fifo", "dir", "socket"}) {
    EXPECT_EQ(code_of([&] { read_file_at(dir.fd(), name); }), Code::kInvalidArgument) << name;
    EXPECT_EQ(code_of([&] { find_file_at(dir.fd(), name); }), Code::kInvalidArgument) << name;
  }
  EXPECT_EQ(code_of([] { read_file(::open("/dev/null", O_RDONLY | O_CLOEXEC)); }),
            Code::kInvalidArgument);
}

TEST(FilesTest, ReplacesAsAWhole) {
  TempDir dir;
  replace_file_at(dir.fd(), "f", "first", 0600, false);
  UniqueFd old = open_at(dir.fd(), "f", O_RDONLY);
  replace_file_at(dir.fd(), "f", "second", 0600, true);
  EXPECT_EQ(read_file(old.get()), "first");
  EXPECT_EQ(read_file_at(dir.fd(), "f"), "second");
  EXPECT_EQ(list_dir(dir.fd()), std::vector<std::string>{"f"});
  make_dir_at(dir.fd(), "d", 0700);
  EXPECT_THROW(replace_file_at(dir.fd(), "d", "x", 0600, false), Error);
  EXPECT_EQ(list_dir(dir.fd()), (std::vector<std::string>{"d", "f"}));  // no temporary one is left
}

TEST(FilesTest, CreatesOnlyNewFiles) {
  TempDir dir;
  create_file_at(dir.fd(), "f", "one", 0600);
  EXPECT_EQ(code_of([&] { create_file_at(dir.fd(), "f", "two", 0600); }), Code::kAlreadyExists);
  EXPECT_EQ(read_file_at(dir.fd(), "f"), "one");
}

TEST(FilesTest, AFullDiskLeavesNoHalfFile) {
  UniqueFd full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  if (!full) GTEST_SKIP() << "no /dev/full";
  EXPECT_EQ(code_of([&] { write_all(full.get(), "x"); }), Code::kResourceExhausted);
}

TEST(FilesTest, RenamesWithoutReplacing) {
  TempDir dir;
  make_dirs_at(dir.fd(), "a", 0700);
  create_file_at(dir.fd(), "a/f", "1", 0600);
  create_file_at(dir.fd(), "g", "2", 0600);
  EXPECT_EQ(code_of([&] { rename_at(dir.fd(), "a/f", dir.fd(), "g"); }), Code::kAlreadyExists);
  rename_at(dir.fd(), "a/f", dir.fd(), "h");
  EXPECT_EQ(read_file_at(dir.fd(), "h"), "1");
  EXPECT_EQ(code_of([&] { rename_at(dir.fd(), "a/f", dir.fd(), "i"); }), Code::kNotFound);
}

TEST(FilesTest, UnlinksWhatIsThere) {
  TempDir dir;
  create_file_at(dir.fd(), "f", "1", 0600);
  make_dir_at(dir.fd(), "d", 0700);
  EXPECT_TRUE(unlink_at(dir.fd(), "f"));
  EXPECT_FALSE(unlink_at(dir.fd(), "f"));
  EXPECT_FALSE(unlink_at(dir.fd(), "no/f"));
  EXPECT_THROW(unlink_at(dir.fd(), "d"), Error);
}

TEST(FilesTest, ListsSortedAndAgain) {
  TempDir dir;
  for (std::string name : {"b", "a", ".c"}) create_file_at(dir.fd(), name, "", 0600);
  std::vector<std::string> expected{".c", "a", "b"};
  EXPECT_EQ(list_dir(dir.fd()), expected);
  EXPECT_EQ(list_dir(dir.fd()), expected);
  UniqueFd path_only(::open(dir.path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  EXPECT_EQ(list_dir(path_only.get()), expected);
  EXPECT_NO_THROW(sync_dir(path_only.get()));
}

TEST(FilesTest, LocksExcludeEachOther) {
  TempDir dir;
  UniqueFd first = open_at(dir.fd(), "lock", O_RDWR | O_CREAT);
  UniqueFd second = open_at(dir.fd(), "lock", O_RDWR);
  EXPECT_TRUE(try_lock(first.get()));
  EXPECT_TRUE(try_lock(first.get()));
  EXPECT_FALSE(try_lock(second.get()));
  EXPECT_FALSE(try_lock(second.get(), false));
  first.reset();
  EXPECT_TRUE(try_lock(second.get(), false));
  UniqueFd third = open_at(dir.fd(), "lock", O_RDWR);
  EXPECT_TRUE(try_lock(third.get(), false));
  EXPECT_FALSE(try_lock(third.get(), true));
  EXPECT_EQ(error_of([] { try_lock(-1); }).sys_errno(), EBADF);
}

TEST(FilesTest, Paths) {
  TempDir dir;
  create_file_at(dir.fd(), "f", "x", 0600);
  EXPECT_EQ(fd_path(7), "/proc/self/fd/7");
  EXPECT_EQ(fd_path(7, "a/b"), "/proc/self/fd/7/a/b");
  EXPECT_EQ(::access(fd_path(dir.fd(), "f").c_str(), F_OK), 0);
  EXPECT_EQ(real_path("/proc/../tmp"), real_path("/tmp"));
  EXPECT_EQ(code_of([&] { real_path(dir.path("no")); }), Code::kNotFound);
}

}  // namespace
}  // namespace ctrd
