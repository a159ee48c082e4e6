// SPDX-License-Identifier: Apache-2.0
// A write that fails half-way leaves torn bytes in an open log; LevelDB goes on behind them and
// loses what follows. On a small tmpfs, in a mount namespace of a thread's own.
#include <gmock/gmock.h>
#include <sched.h>
#include <sys/mount.h>

#include <thread>

#include "store/env.h"
#include "store/holder.h"
#include "store/support.h"

namespace ctrd::store {
namespace {

using testing::HasSubstr;

struct FullDiskTest : testing::Test {
  // Runs f with a tmpfs at temp.path().
  void on_small_disk(const std::function<void()>& f, const char* options = "size=1m") {
    std::thread([&] {
      ASSERT_EQ(::unshare(CLONE_NEWNS | CLONE_FS), 0);
      ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
      ASSERT_EQ(::mount("tmpfs", temp.path().c_str(), "tmpfs", 0, options), 0);
      dir = open_dir(temp.path());
      f();
      dir.reset();
    }).join();
  }
  // Leaves no more than `left` bytes.
  void fill(std::size_t left) {
    UniqueFd file = open_at(dir.get(), "filler", O_WRONLY | O_CREAT | O_APPEND);
    std::string page(4096, 'f');
    while (::write(file.get(), page.data(), page.size()) > 0) continue;
    struct stat facts {};
    ASSERT_EQ(::fstat(file.get(), &facts), 0);
    ASSERT_EQ(::ftruncate(file.get(), facts.st_size - static_cast<off_t>(left)), 0);
  }
  void make_room() { unlink_at(dir.get(), "filler"); }
  void use_up_inodes() {
    UniqueFd fillers = make_dir_at(dir.get(), "fillers", 0700);
    for (int i = 0; ::mknodat(fillers.get(), std::to_string(i).c_str(), S_IFREG, 0) == 0; ++i)
      continue;
    ASSERT_EQ(errno, ENOSPC);
  }
  StoreConfig with_reserve(uint64_t size = 256u << 10) {
    return {.reserve = std::make_shared<Reserve>(dir.dup(), "reserve", size)};
  }
  // A closed store with twenty records; the reserve, if there is one, is made.
  void make_records(const StoreConfig& config) {
    auto store = open_store(temp.path(), config);
    for (int i = 0; i < 20; ++i) put(*store, std::to_string(i), std::string(3000, 'x'));
    if (!config.reserve) return;
    EXPECT_TRUE(comes_true([&] {
      config.reserve->keep();
      return exists_at(dir.get(), "reserve.7");
    }));
  }
  void crash() { set_marker(kDirty); }  // as far as the next opening knows
  void set_marker(char marker) {
    UniqueFd db = open_at(dir.get(), "db", O_WRONLY);
    ASSERT_EQ(::write(db.get(), &marker, 1), 1);
  }

  TempDir temp;
  UniqueFd dir;
};

void erase(Store& store, const std::string& key) {
  store.write({}, [&](const View&, Batch& batch) {
    batch.erase(key);
    batch.use_reserve();
  });
}

void expect_full(const Error& error) {
  EXPECT_EQ(error.code(), Code::kResourceExhausted);
  EXPECT_EQ(error.sys_errno(), ENOSPC);
  EXPECT_THAT(error.message(), HasSubstr("No space left on device"));
}

TEST_F(FullDiskTest, LaterWritesAreKept) {
  on_small_disk([&] {
    auto store = open_store(temp.path());
    for (int i = 0; i < 3; ++i) put(*store, "old" + std::to_string(i), "x");
    fill(8192);
    expect_full(error_of([&] { put(*store, "failed", std::string(60'000, 'x')); }));
    EXPECT_EQ(decode_holder(read_file_at(dir.get(), "db")).marker, kDirty);
    make_room();
    for (int i = 0; i < 5; ++i) put(*store, "new" + std::to_string(i), std::string(500, 'n'));
    store.reset();  // what is lost is missed when it is opened again
    auto all = contents(*open_store(temp.path()));
    EXPECT_EQ(all.size(), 8u);
    EXPECT_EQ(all.count("failed"), 0u);
  });
}

TEST_F(FullDiskTest, FailsInATypedWayAndLosesNothing) {
  on_small_disk([&] {
    auto store = open_store(temp.path());
    int acknowledged = 0;
    fill(20'000);
    for (int failures = 0; failures < 5;) {
      try {
        put(*store, std::to_string(acknowledged), std::string(1000, 'x'));
        ++acknowledged;
      } catch (const Error& error) {
        expect_full(error);
        ++failures;
      }
    }
    make_room();
    EXPECT_EQ(contents(*store).size(), static_cast<std::size_t>(acknowledged));
  });
}

TEST_F(FullDiskTest, AFailedRelaxedBatchIsNoFailure) {
  on_small_disk([&] {
    auto store = open_store(temp.path());
    put(*store, "a", "1");
    put(*store, "a", "1");
    fill(0);
    store->write({}, [](const View&, Batch& batch) {
      batch.put("big", std::string(60'000, 'x'));
      batch.relax();
    });
    make_room();
    EXPECT_EQ(contents(*store), (std::map<std::string, std::string>{{"a", "1"}}));
  });
}

// Trap 5: after a crash even a list writes.
TEST_F(FullDiskTest, AListNeedsTheReserve) {
  on_small_disk([&] {
    auto config = with_reserve();
    make_records(config);
    fill(0);
    crash();
    expect_full(error_of([&] { contents(*open_store(temp.path())); }));
    EXPECT_TRUE(exists_at(dir.get(), "reserve"));
    EXPECT_EQ(contents(*open_store(temp.path(), config)).size(), 20u);
    EXPECT_FALSE(exists_at(dir.get(), "reserve"));
  });
}

TEST_F(FullDiskTest, ADeleteUsesTheReserveAndNothingElseDoes) {
  on_small_disk([&] {
    auto config = with_reserve();
    make_records(config);
    fill(0);
    auto store = open_store(temp.path(), config);
    expect_full(error_of([&] {
      for (int i = 0; i < 9; ++i) put(*store, "more", std::string(3000, 'x'));
    }));
    EXPECT_TRUE(exists_at(dir.get(), "reserve"));
    for (int i = 0; i < 20; ++i) erase(*store, std::to_string(i));
    EXPECT_LE(contents(*store).size(), 1u);
    make_room();
  });
}

TEST_F(FullDiskTest, WithoutInodesToo) {
  auto f = [&] {
    auto config = with_reserve();
    make_records(config);
    use_up_inodes();
    crash();
    expect_full(error_of([&] { contents(*open_store(temp.path())); }));
    auto store = open_store(temp.path(), config);
    EXPECT_EQ(contents(*store).size(), 20u);
    for (int i = 0; i < 20; ++i) erase(*store, std::to_string(i));
    EXPECT_EQ(contents(*store).size(), 0u);
  };
  on_small_disk(f, "size=8m,nr_inodes=60");
}

TEST_F(FullDiskTest, TheReserveIsMadeAgainWhenThereIsRoom) {
  on_small_disk([&] {
    auto config = with_reserve();
    make_records(config);
    struct stat facts {};
    ASSERT_EQ(::fstatat(dir.get(), "reserve", &facts, 0), 0);
    EXPECT_GE(facts.st_blocks * 512, 256 << 10);
    fill(0);
    EXPECT_TRUE(config.reserve->release());
    EXPECT_FALSE(config.reserve->release());
    fill(300 << 10);  // enough for it, and for nothing else
    auto store = open_store(temp.path(), config);
    ::usleep(300'000);  // it looks now and then only
    put(*store, "a", "1");
    EXPECT_FALSE(exists_at(dir.get(), "reserve"));
    make_room();
    EXPECT_TRUE(comes_true([&] {
      get(*store, "a");
      return exists_at(dir.get(), "reserve.7");
    }));
  });
}

TEST_F(FullDiskTest, AReserveThatFindsNoRoomTakesNone) {
  on_small_disk([&] {
    auto config = with_reserve(8u << 20);
    put(*open_store(temp.path(), config), "a", "1");
    EXPECT_FALSE(exists_at(dir.get(), "reserve"));
  });
}

// A record whose sync failed may be in the log as a whole, and would come back at the next opening.
TEST(Env, CutsTheLogBack) {
  TempDir temp;
  Env env;
  std::unique_ptr<leveldb::WritableFile> first, second;
  auto open_log = [&](const char* name) {
    leveldb::WritableFile* file = nullptr;
    EXPECT_TRUE(env.NewWritableFile(temp.path(name), &file).ok());
    return std::unique_ptr<leveldb::WritableFile>(file);
  };
  auto add = [](leveldb::WritableFile& file) {
    EXPECT_TRUE(file.Append("12345").ok());
    EXPECT_TRUE(file.Flush().ok());
  };
  env.cut_log(env.log_end());
  first = open_log("1.log");
  add(*first);
  Env::LogEnd before = env.log_end();
  add(*first);
  env.cut_log(before);
  EXPECT_EQ(read_file_at(temp.fd(), "1.log"), "12345");
  second = open_log("2.log");
  add(*second);
  env.cut_log(before);
  EXPECT_EQ(read_file_at(temp.fd(), "1.log"), "12345");
  EXPECT_EQ(read_file_at(temp.fd(), "2.log"), "");
  EXPECT_FALSE(env.failed());
}

TEST(Env, RemembersFailures) {
  Env env;
  leveldb::WritableFile* file = nullptr;
  EXPECT_FALSE(env.NewWritableFile("/nowhere/1.log", &file).ok());
  EXPECT_TRUE(env.failed());
}

}  // namespace
}  // namespace ctrd::store
