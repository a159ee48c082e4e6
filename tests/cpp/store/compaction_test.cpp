// SPDX-License-Identifier: Apache-2.0
// What LevelDB does in the background: tables are merged so that they stay few, and not because
// somebody has looked into them in vain, which would be a rewrite of megabytes each hundred looks.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "store/support.h"

namespace ctrd::store {
namespace {

struct CompactionTest : testing::Test {
  // As a container's: keys all over the database, one of them erased by the next.
  void create(int i) {
    const std::string id = std::to_string(i * 7919 % 100'000);
    store->write({}, [&](const View& view, Batch& batch) {
      for (const char* kind : {"c/", "snap/", "s/"})
        if (view.find(kind + id)) return;
      batch.put(".n/snap", id);
      batch.put(".outbox/" + std::to_string(i), std::string(120, 'o'));
      batch.erase(".outbox/" + std::to_string(i - 1));
      batch.put("c/" + id, std::string(200, 'c'));
      batch.put("s/" + id, std::string(1000, 's'));
      batch.put("snap/" + id, std::string(60, 'n'));
      batch.put("ref/snap/" + id + "/c/" + id, "");
    });
  }
  std::map<std::string, uint64_t> tables() {
    std::map<std::string, uint64_t> sizes;
    for (const auto& name : list_dir(temp.fd())) {
      struct stat facts {};
      if (name.ends_with(".ldb") && ::fstatat(temp.fd(), name.c_str(), &facts, 0) == 0)
        sizes[name] = static_cast<uint64_t>(facts.st_size);
    }
    return sizes;
  }

  TempDir temp;
  std::shared_ptr<Store> store = open_store(temp.path(), {.idle_close = std::chrono::hours(1)});
};

TEST_F(CompactionTest, FilesStayFew) {
  for (int i = 0; i < 12'000; ++i) create(i);
  uint64_t bytes = 0;
  for (const auto& [name, size] : tables()) bytes += size;
  EXPECT_GT(bytes, 12u << 20);
  EXPECT_LE(tables().size(), (bytes >> 20) / 2 + 12);
  for (int i = 0; i < 200; ++i) create(i * 60);  // which are there
  store = open_store(temp.path(), kOpenedEach);
  for (int i = 12'000; i < 12'200; ++i) create(i);  // each of them opens it
  EXPECT_LE(tables().size(), (bytes >> 20) / 2 + 16);
  EXPECT_EQ(get(*store, "c/7919"), std::string(200, 'c'));
}

TEST_F(CompactionTest, LookingMergesNothing) {
  for (int i = 0; i < 6'000; ++i) create(i);
  const auto before = tables();
  EXPECT_GT(before.size(), 3u);
  for (int i = 0; i < 20'000; ++i) EXPECT_FALSE(get(*store, "c/" + std::to_string(i * 5) + "-"));
  EXPECT_EQ(tables(), before);
  create(6'001);
  EXPECT_EQ(tables(), before);
}

}  // namespace
}  // namespace ctrd::store
