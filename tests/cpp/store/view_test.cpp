// SPDX-License-Identifier: Apache-2.0
// What one operation sees and changes.
#include <gmock/gmock.h>

#include "base/process.h"
#include "store/holder.h"
#include "store/support.h"

namespace ctrd::store {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

struct StoreTest : testing::Test {
  TempDir temp;
  std::shared_ptr<Store> store = open_store(temp.path(), kOpenedEach);
  std::vector<std::string> keys(
      const std::function<void(const View&, std::vector<std::string>&)>& f) {
    std::vector<std::string> all;
    store->read({}, [&](const View& view) { f(view, all); });
    return all;
  }
  char marker() { return read_file_at(temp.fd(), "db").at(0); }
};

TEST_F(StoreTest, BuildingOneTouchesNothing) { EXPECT_THAT(list_dir(temp.fd()), IsEmpty()); }

TEST_F(StoreTest, WritesAreReadByAll) {
  store->write({}, [](const View& view, Batch& batch) {
    EXPECT_FALSE(view.find("a"));
    batch.put("a", "1");
    batch.put("b", std::string("\0\xff", 2));
    batch.put("empty", "");
    EXPECT_FALSE(view.find("a"));  // not yet
  });
  auto expected =
      ElementsAre(Pair("a", "1"), Pair("b", std::string("\0\xff", 2)), Pair("empty", ""));
  EXPECT_THAT(contents(*store), expected);
  EXPECT_THAT(contents(*open_store(temp.path())), expected);
}

TEST_F(StoreTest, ABatchIsDoneInOrder) {
  put(*store, "a", "1");
  store->write({}, [](const View&, Batch& batch) {
    batch.erase("a");
    batch.put("a", "2");
    batch.put("b", "3");
    batch.erase("b");
  });
  EXPECT_THAT(contents(*store), ElementsAre(Pair("a", "2")));
}

TEST_F(StoreTest, ScansAreInByteOrderAndStop) {
  for (const char* key : {"b", "a", "a/", "a0", "\xff", "c"}) put(*store, key, "");
  auto from = [&](std::string_view first, std::string_view last, std::size_t most) {
    return keys([&](const View& view, auto& all) {
      view.scan(first, last, [&](std::string_view key, std::string_view) {
        all.emplace_back(key);
        return all.size() < most;
      });
    });
  };
  EXPECT_THAT(from("", "\xff", 9), ElementsAre("a", "a/", "a0", "b", "c"));
  EXPECT_THAT(from("a", "b", 9), ElementsAre("a", "a/", "a0"));
  EXPECT_THAT(from("a", "b", 2), ElementsAre("a", "a/"));
  EXPECT_THAT(from("b", "a", 9), IsEmpty());
}

TEST_F(StoreTest, ScansByPrefix) {
  for (const char* key : {"a", "a\xff", "a\xff\xff", "b"}) put(*store, key, "");
  auto with = [&](std::string_view prefix) {
    return keys([&](const View& view, auto& all) {
      view.scan_prefix(prefix, [&](std::string_view key, std::string_view) {
        all.emplace_back(key);
        return true;
      });
    });
  };
  EXPECT_THAT(with("a"), ElementsAre("a", "a\xff", "a\xff\xff"));
  EXPECT_THAT(with("a\xff"), ElementsAre("a\xff", "a\xff\xff"));
  EXPECT_EQ(code_of([&] { with(""); }), Code::kInvalidArgument);
}

TEST_F(StoreTest, WhatThrowsWritesNothing) {
  put(*store, "a", "1");
  EXPECT_EQ(code_of([&] {
              store->write({}, [](const View&, Batch& batch) {
                batch.put("a", "2");
                throw invalid("field", "value", "no");
              });
            }),
            Code::kInvalidArgument);
  EXPECT_EQ(marker(), kClean);
  EXPECT_THAT(contents(*store), ElementsAre(Pair("a", "1")));
}

TEST_F(StoreTest, AnEmptyBatchWritesNothing) {
  put(*store, "a", "1");
  auto sizes = [&] {
    std::map<std::string, off_t> all;
    for (const auto& name : list_dir(temp.fd())) {
      struct stat facts {};
      ::fstatat(temp.fd(), name.c_str(), &facts, 0);
      all[name] = facts.st_size;
    }
    return all;
  };
  put(*store, "a", "1");  // now the log is reused
  auto before = sizes();
  store->write({}, [](const View&, Batch&) {});
  EXPECT_EQ(sizes(), before);
}

TEST_F(StoreTest, RelaxedBatchesAreWrittenToo) {
  store->write({}, [](const View&, Batch& batch) {
    batch.put("a", "1");
    batch.relax();
  });
  EXPECT_EQ(get(*store, "a"), "1");
}

TEST_F(StoreTest, AnOperationInsideAnotherIsRefused) {
  auto again = open_store(temp.path());
  store->read({}, [&](const View&) {
    EXPECT_EQ(code_of([&] { store->read({}, [](const View&) {}); }), Code::kInternal);
    EXPECT_EQ(code_of([&] { again->read({}, [](const View&) {}); }), Code::kInternal);
  });
  EXPECT_FALSE(get(*again, "a"));
}

TEST_F(StoreTest, LeavesNoDescriptorAndFewFiles) {
  auto open_files = [] { return list_dir(open_dir("/proc/self/fd").get()).size(); };
  put(*store, "a", "1");
  std::size_t before = open_files();
  for (int i = 0; i < 3000; ++i) put(*store, std::to_string(i % 700), std::string(500, 'x'));
  EXPECT_EQ(open_files(), before);
  EXPECT_LE(list_dir(temp.fd()).size(), 40u);
  EXPECT_EQ(contents(*store).size(), 701u);
}

TEST(Holder, ComesBack) {
  Holder holder = decode_holder(encode(this_holder()) + "what a longer one left\n");
  EXPECT_EQ(holder.marker, kDirty);
  EXPECT_EQ(holder.boot, boot_id());
  EXPECT_EQ(holder.pid, ::getpid());
  EXPECT_THAT(holder.command, testing::HasSubstr("ctrd_store_test"));
}

TEST(Holder, ReadsAnything) {
  std::string whole = encode(this_holder());
  for (std::size_t size = 0; size <= whole.size(); ++size) decode_holder(whole.substr(0, size));
  EXPECT_EQ(decode_holder("").marker, kDirty);
  EXPECT_EQ(decode_holder("CC x y").marker, kDirty);
  EXPECT_EQ(decode_holder("C b 1 2 \x1b[31m").command, "\\x1b[31m");
}

}  // namespace
}  // namespace ctrd::store
