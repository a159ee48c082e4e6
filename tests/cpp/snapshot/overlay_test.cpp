// SPDX-License-Identifier: Apache-2.0
#include "snapshot/overlay.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>

#include <thread>

#include "base/temp_dir.h"
#include "snapshot/directory.h"

namespace ctrd::snapshot {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

struct OverlayTest : testing::Test {
  std::string make_lower(const std::string& name) {
    create_file_at(make_dir_at(temp.fd(), name, 0755).get(), "from-lower", name, 0644);
    return temp.path(name);
  }
  struct stat facts(const std::string& name) {
    struct stat result {};
    EXPECT_EQ(::fstatat(snapshots.get(), name.c_str(), &result, AT_SYMLINK_NOFOLLOW), 0) << name;
    return result;
  }

  TempDir temp;
  UniqueFd snapshots = make_dir_at(temp.fd(), "snapshots", 0700);
  Overlay overlay{snapshots.get(), temp.path("snapshots")};
};

// Runs f in a thread with a mount namespace of its own: its mounts go with it.
void in_private_mounts(const std::function<void()>& f) {
  std::thread([&] {
    ASSERT_EQ(::unshare(CLONE_NEWNS | CLONE_FS), 0);
    ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    f();
  }).join();
}

TEST_F(OverlayTest, MakesDirectoriesLikeTheBottom) {
  std::string lower = make_lower("lower");
  ASSERT_EQ(::chmod(lower.c_str(), 01775), 0);
  ASSERT_EQ(::chown(lower.c_str(), 12, 34), 0);
  overlay.active(7, {lower});
  EXPECT_EQ(facts("7").st_mode & 07777, 0700u);
  EXPECT_EQ(facts("7/fs").st_mode & 07777, 01775u);
  EXPECT_EQ(facts("7/fs").st_uid, 12u);
  EXPECT_EQ(facts("7/fs").st_gid, 34u);
  EXPECT_TRUE(S_ISDIR(facts("7/work").st_mode));
}

TEST_F(OverlayTest, UsesDirectoriesThatAreThere) {
  std::string lower = make_lower("lower");
  auto mounts = overlay.active(1, {lower});
  create_file_at(snapshots.get(), "1/fs/written", "x", 0600);
  ASSERT_EQ(::chmod((temp.path("snapshots") + "/1/fs").c_str(), 0500), 0);
  EXPECT_EQ(overlay.active(1, {lower}), mounts);
  EXPECT_EQ(read_file_at(snapshots.get(), "1/fs/written"), "x");
  EXPECT_EQ(facts("1/fs").st_mode & 07777, 0500u);  // the container may have changed it
}

TEST_F(OverlayTest, FinishesWhatACrashLeft) {
  std::string lower = make_lower("lower");
  ASSERT_EQ(::chmod(lower.c_str(), 0750), 0);
  make_dirs_at(snapshots.get(), "1/fs", 0700);
  overlay.active(1, {lower});
  EXPECT_EQ(facts("1/fs").st_mode & 07777, 0750u);
}

TEST_F(OverlayTest, NamesTheLayersTopFirst) {
  std::string upper = make_lower("a:b,c\\d");
  std::string lower = make_lower("e");
  auto mounts = overlay.active(1, {upper, lower});
  ASSERT_EQ(mounts.size(), 1u);
  EXPECT_EQ(mounts[0].type, "overlay");
  EXPECT_THAT(mounts[0].options, Contains("lowerdir=" + temp.path("a\\:b\\,c\\\\d") + ":" + lower));
}

TEST_F(OverlayTest, BindsItsOwnDirectoryWithoutLayers) {
  auto mounts = overlay.active(1, {});
  ASSERT_EQ(mounts.size(), 1u);
  EXPECT_EQ(mounts[0], (Mount{"bind", temp.path("snapshots/1/fs"), "", {"rbind", "rw"}}));
}

TEST_F(OverlayTest, NothingInALayerLeadsOutOfIt) {
  std::string lower = make_lower("a"), lowest = make_lower("b");
  for (const auto& mounts : {overlay.active(1, {lower}), overlay.view({lower, lowest})}) {
    EXPECT_THAT(mounts[0].options, Contains("redirect_dir=nofollow"));
    EXPECT_THAT(mounts[0].options, Contains("metacopy=off"));
  }
}

TEST_F(OverlayTest, ViewsAreReadOnly) {
  std::string top = make_lower("a"), below = make_lower("b");
  EXPECT_EQ(overlay.view({top}), (std::vector<Mount>{{"bind", top, "", {"rbind", "ro"}}}));
  EXPECT_THAT(overlay.view({top, below})[0].options, Contains("ro"));
  EXPECT_THAT(overlay.view({top, below})[0].options, Contains("lowerdir=" + top + ":" + below));
  EXPECT_TRUE(list_dir(snapshots.get()).empty());
  EXPECT_EQ(overlay.empty_view(1)[0],
            (Mount{"bind", temp.path("snapshots/1/fs"), "", {"rbind", "ro"}}));
}

TEST_F(OverlayTest, MountsAndNeverWritesBelow) {
  make_dir_at(temp.fd(), "target", 0755);
  std::string target = temp.path("target");
  uint64_t number = 0;
  for (const char* name :
       {"plain", "a:b", "a,b", "a\\b", "a:b,c\\:d,\\", "with space", "\xc3\xbc"}) {
    SCOPED_TRACE(name);
    std::string lower = make_lower(name);
    auto mounts = overlay.active(++number, {lower});
    in_private_mounts([&] {
      mount_all(mounts, target);
      UniqueFd root = open_dir(target);
      EXPECT_EQ(read_file_at(root.get(), "from-lower"), name);
      create_file_at(root.get(), "written", "x", 0644);
      unlink_at(root.get(), "from-lower");
    });
    EXPECT_THAT(list_dir(open_dir(lower).get()), ElementsAre("from-lower"));
    EXPECT_TRUE(exists_at(snapshots.get(), std::to_string(number) + "/fs/written"));
  }
  EXPECT_TRUE(list_dir(open_dir(target).get()).empty());
}

TEST_F(OverlayTest, MountsSnapshotsAtAnEscapedPath) {
  make_dir_at(temp.fd(), "target", 0755);
  UniqueFd dir = make_dir_at(temp.fd(), "r:o,o\\t", 0700);
  auto mounts = Overlay(dir.get(), temp.path("r:o,o\\t")).active(1, {make_lower("lower")});
  in_private_mounts([&] {
    mount_all(mounts, temp.path("target"));
    create_file_at(open_dir(temp.path("target")).get(), "written", "x", 0644);
  });
  EXPECT_TRUE(exists_at(dir.get(), "1/fs/written"));
}

TEST_F(OverlayTest, RefusesBadLayers) {
  create_file_at(temp.fd(), "file", "", 0644);
  struct {
    std::string path;
    Code code;
  } rows[] = {
      {"", Code::kInvalidArgument},
      {"relative", Code::kInvalidArgument},
      {temp.path("file"), Code::kInvalidArgument},
      {temp.path("absent"), Code::kNotFound},
      {temp.path("file/below"), Code::kInvalidArgument},
      {std::string("/a\0b", 4), Code::kInvalidArgument},
      {"/", Code::kInvalidArgument},  // contains the snapshots themselves
      {temp.path(), Code::kInvalidArgument},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.path);
    Error error = error_of([&] { overlay.active(1, {row.path}); });
    EXPECT_EQ(error.code(), row.code) << error.what();
    EXPECT_THAT(error.message(), HasSubstr("rootfs"));
    EXPECT_EQ(error.find("field"), "rootfs");
  }
  EXPECT_TRUE(list_dir(snapshots.get()).empty());
}

TEST_F(OverlayTest, RemovesOnceAndAgain) {
  overlay.active(1, {});
  make_dirs_at(snapshots.get(), "1/work/work", 0);
  make_dirs_at(snapshots.get(), ".trash-1/left/by/a/crash", 0700);
  remove_directory(snapshots.get(), 1);
  remove_directory(snapshots.get(), 1);
  EXPECT_TRUE(list_dir(snapshots.get()).empty());
}

TEST_F(OverlayTest, RemovesBesideAnother) {
  for (uint64_t round = 0; round < 20; ++round) {
    overlay.active(round, {});
    for (int i = 0; i < 20; ++i)
      make_dirs_at(snapshots.get(), std::to_string(round) + "/fs/" + std::to_string(i), 0700);
    std::thread other([&] { remove_directory(snapshots.get(), round); });
    remove_directory(snapshots.get(), round);
    other.join();
    EXPECT_TRUE(list_dir(snapshots.get()).empty());
  }
}

}  // namespace
}  // namespace ctrd::snapshot
