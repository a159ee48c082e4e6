// SPDX-License-Identifier: Apache-2.0
// B16: with root and state on disks without a byte or an inode left, containers are listed and
// deleted; what was refused for want of room works again afterwards. In a mount namespace of a
// thread's own.
#include <gmock/gmock.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <thread>

#include "base/files.h"
#include "engine/fixture.h"

namespace ctrd::engine {
namespace {

struct FullDiskTest : EngineTest {
  // Runs f with a tmpfs each for root and state, with these options.
  void on_small_disks(const char* root, const char* state, const std::function<void()>& f) {
    std::thread([&] {
      ASSERT_EQ(::unshare(CLONE_NEWNS | CLONE_FS), 0);
      ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
      for (const auto& [path, options] : {std::pair{root_, root}, std::pair{state_, state}}) {
        ASSERT_EQ(::mkdir(path.c_str(), 0700), 0);
        std::string all = std::string("mode=0700,") + options;
        ASSERT_EQ(::mount("tmpfs", path.c_str(), "tmpfs", 0, all.c_str()), 0);
      }
      f();
    }).join();
  }
  void fill(const std::string& path) {
    UniqueFd dir = open_dir(path);
    UniqueFd file = open_at(dir.get(), ".filler", O_WRONLY | O_CREAT | O_APPEND);
    std::string page(4096, 'f');
    while (::write(file.get(), page.data(), page.size()) > 0) continue;
    UniqueFd fillers = make_dir_at(dir.get(), ".fillers", 0700);
    for (int i = 0; ::mknodat(fillers.get(), std::to_string(i).c_str(), S_IFREG, 0) == 0; ++i)
      continue;
    ASSERT_EQ(errno, ENOSPC);
  }
  void make_room(const std::string& path) {
    remove_tree_at(open_dir(path).get(), ".fillers");
    unlink_at(open_dir(path).get(), ".filler");
  }
  // The reserves are made a moment after they are missed.
  void wait_for_reserves() {
    UniqueFd root = open_dir(root_), state = open_dir(state_);
    TimePoint end = after(kLong);
    while (!exists_at(root.get(), "reserve.7") || !exists_at(state.get(), ".reserve.7")) {
      ASSERT_LT(Clock::now(), end);
      engine().list(kNs, {}, soon());
      ::usleep(10'000);
    }
  }
  void fill_list_and_delete() {
    std::vector<std::string> ids;
    for (int i = 0; i < 5; ++i) ids.push_back(create({"/bin/true"}));
    wait_for_reserves();
    fill(root_);
    fill(state_);
    // As another process that finds all as a crash has left it.
    auto other = Engine::open(config());
    EXPECT_EQ(other->list(kNs, {}, soon()).size(), 5u);
    EXPECT_EQ(other->get(kNs, ids[0], soon()).id, ids[0]);
    for (const auto& id : ids) EXPECT_TRUE(other->remove(kNs, id, false, false, soon()));
    EXPECT_EQ(other->list(kNs, {}, soon()).size(), 0u);
    make_room(root_);
    make_room(state_);
    wait_for_reserves();
    EXPECT_EQ(engine().list(kNs, {}, soon()).size(), 0u);
    create({"/bin/true"});
    other->close(soon());
    close_all();
  }
};

TEST_F(FullDiskTest, WithoutAByte) {
  on_small_disks("size=16m,nr_inodes=1000", "size=1m,nr_inodes=1000",
                 [&] { fill_list_and_delete(); });
}

TEST_F(FullDiskTest, WithoutAnInode) {
  auto f = [&] { fill_list_and_delete(); };
  on_small_disks("size=32m,nr_inodes=200", "size=8m,nr_inodes=100", f);
}

TEST_F(FullDiskTest, ACreateIsRefusedAndLeavesNothing) {
  on_small_disks("size=16m,nr_inodes=1000", "size=1m,nr_inodes=1000", [&] {
    create({"/bin/true"});
    wait_for_reserves();
    fill(root_);
    Error error(Code::kOk, "");
    std::size_t made = 1;
    while (code_of([&] { create({"/bin/true"}); }, &error) == Code::kOk) ++made;
    EXPECT_EQ(error.code(), Code::kResourceExhausted) << error.what();
    EXPECT_EQ(error.sys_errno(), ENOSPC);
    EXPECT_EQ(engine().list(kNs, {}, soon()).size(), made);
    make_room(root_);
    EXPECT_EQ(engine().list(kNs, {}, soon()).size(), made);
    close_all();
  });
}

}  // namespace
}  // namespace ctrd::engine
