// SPDX-License-Identifier: Apache-2.0
// What a layer's digest is made of: a copy's is the same, and any change is another.
#include "snapshot/layer_bytes.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <thread>

#include "base/error.h"
#include "base/files.h"
#include "snapshot/copy_tree.h"

namespace ctrd::snapshot {
namespace {

constexpr std::size_t kBig = 300'000;

// On a disk: /tmp, for extended attributes and holes.
class LayerBytes : public testing::Test {
 protected:
  LayerBytes() {
    if (!::mkdtemp(path.data())) throw sys_error("make " + path);
    top = make_dirs_at(open_dir(path).get(), "top", 0755);
    make_dirs_at(top.get(), "etc/deep", 0700);
    write("etc/passwd", "root");
    write("etc/deep/big", std::string(kBig, 'x') + std::string(kBig, '\0') + "y");
    EXPECT_EQ(::symlinkat("/etc", top.get(), "link"), 0);
    EXPECT_EQ(::mkfifoat(top.get(), "fifo", 0600), 0);
    EXPECT_EQ(::linkat(top.get(), "etc/passwd", top.get(), "etc/shadow", 0), 0);
  }
  ~LayerBytes() override { remove_tree_at(open_dir("/tmp").get(), path.substr(5)); }

  void write(const std::string& name, const std::string& data) {
    UniqueFd file = open_at(top.get(), name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    write_all(file.get(), data);
  }
  static std::string bytes_of(int dir, uint64_t* size = nullptr) {
    std::string all;
    uint64_t sum = read_layer(dir, [&](std::string_view part) { all += part; }, {});
    if (size != nullptr) *size = sum;
    return all;
  }
  std::string path = "/tmp/ctrd-layer-XXXXXX";
  UniqueFd top;
};

TEST_F(LayerBytes, ACopyHasTheSame) {
  UniqueFd copy = make_dirs_at(open_dir(path).get(), "copy", 0755);
  copy_layer(top.get(), copy.get(), {});
  uint64_t size = 0;
  EXPECT_EQ(bytes_of(top.get(), &size), bytes_of(copy.get()));
  EXPECT_EQ(size, 2 * kBig + 1 + 4);
}

TEST_F(LayerBytes, HolesMakeNoDifference) {
  std::string before = bytes_of(top.get());
  UniqueFd file = open_at(top.get(), "etc/deep/big", O_RDWR);
  ASSERT_EQ(::fallocate(file.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, kBig, kBig), 0);
  EXPECT_EQ(bytes_of(top.get()), before);
}

TEST_F(LayerBytes, AnyChangeIsAnother) {
  auto name = [&](const char* of) { return fd_path(top.get(), of); };
  auto attribute = [&](const char* key) {
    return [=] { EXPECT_EQ(::lsetxattr(name("etc/passwd").c_str(), key, "v", 1, 0), 0) << key; };
  };
  const std::vector<std::pair<const char*, std::function<void()>>> changes{
      {"content", [&] { write("etc/passwd", "toor"); }},
      {"a longer file", [&] { write("etc/passwd", "root "); }},
      {"zeros at the end",
       [&] { EXPECT_EQ(::truncate(name("etc/deep/big").c_str(), 2 * kBig + 9), 0); }},
      {"zeros in between",
       [&] { write("etc/deep/big", std::string(kBig, 'x') + std::string(kBig + 1, '\0') + "y"); }},
      {"mode", [&] { EXPECT_EQ(::fchmodat(top.get(), "etc/passwd", 04755, 0), 0); }},
      {"mode of a directory", [&] { EXPECT_EQ(::fchmodat(top.get(), "etc", 0777, 0), 0); }},
      {"mode of all", [&] { EXPECT_EQ(::fchmod(top.get(), 0777), 0); }},
      {"owner", [&] { EXPECT_EQ(::fchownat(top.get(), "link", 1, 0, AT_SYMLINK_NOFOLLOW), 0); }},
      {"group", [&] { EXPECT_EQ(::fchownat(top.get(), "fifo", 0, 1, 0), 0); }},
      {"a user's attribute", attribute("user.x")},
      {"a layer's attribute", attribute("trusted.overlay.redirect")},
      {"a new file", [&] { write("new", ""); }},
      {"another name", [&] { rename_at(top.get(), "fifo", top.get(), "fifo2"); }},
      {"a whiteout", [&] { EXPECT_EQ(::mknodat(top.get(), "gone", S_IFCHR, 0), 0); }},
      {"another device",
       [&] {
         unlink_at(top.get(), "gone");
         EXPECT_EQ(::mknodat(top.get(), "gone", S_IFCHR, 0x801), 0);
       }},
      {"another target",
       [&] {
         unlink_at(top.get(), "link");
         EXPECT_EQ(::symlinkat("/", top.get(), "link"), 0);
       }},
      {"no hard link",
       [&] {
         unlink_at(top.get(), "etc/shadow");
         write("etc/shadow", "root ");
       }},
      {"a file less", [&] { unlink_at(top.get(), "etc/shadow"); }},
  };
  std::string before = bytes_of(top.get());
  for (const auto& [what, change] : changes) {
    change();
    std::string now = bytes_of(top.get());
    EXPECT_NE(now, before) << what;
    before = std::move(now);
  }
}

TEST_F(LayerBytes, WhatOverlayNotesForItselfDoesNotCount) {
  std::string before = bytes_of(top.get());
  EXPECT_EQ(::lsetxattr(fd_path(top.get(), "etc").c_str(), "trusted.overlay.origin", "x", 1, 0), 0);
  EXPECT_EQ(bytes_of(top.get()), before);
}

// A stranger's: a file becomes a FIFO, which nobody writes to.
TEST_F(LayerBytes, WhatIsExchangedMeanwhileIsNotWaitedFor) {
  std::atomic<bool> stop{false};
  std::thread stranger([&] {
    while (!stop) {
      ::unlinkat(top.get(), "etc/it", 0);
      ::mkfifoat(top.get(), "etc/it", 0600);
      ::unlinkat(top.get(), "etc/it", 0);
      UniqueFd file(::openat(top.get(), "etc/it", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    }
  });
  int copies = 0;
  UniqueFd parent = open_dir(path);
  for (int i = 0; i < 300; ++i) {
    std::string name = "copy" + std::to_string(i);
    UniqueFd to = make_dir_at(parent.get(), name, 0755);
    try {
      copy_layer(top.get(), to.get(), {});
      bytes_of(top.get());
      ++copies;
    } catch (const Error& error) {
      EXPECT_TRUE(error.code() == Code::kAborted || error.code() == Code::kNotFound)
          << error.message();
    }
    remove_tree_at(parent.get(), name);
  }
  stop = true;
  stranger.join();
  EXPECT_GT(copies, 0);
}

}  // namespace
}  // namespace ctrd::snapshot
