// SPDX-License-Identifier: Apache-2.0
// reliability.md B17: a database whose files are cut, zeroed, lost or exchanged opens, or says
// which file it is; a repair keeps every record that can be read, and what could not be read is
// kept.
#include "store/repair.h"

#include <gmock/gmock.h>

#include "store/holder.h"
#include "store/log_file.h"
#include "store/support.h"

namespace ctrd::store {
namespace {

using Records = std::map<std::string, std::string>;

std::string value_of(int i, char c) { return std::to_string(i) + std::string(1000, c); }

struct RepairTest : testing::Test {
  // Of several tables and a log: written, overwritten, some erased.
  RepairTest() {
    for (int round = 0; round < 3; ++round)
      for (int i = 0; i < 300; ++i) change(i, static_cast<char>('a' + round));
    for (int i = 0; i < 50; ++i) erase(i);
    EXPECT_GT(files(".ldb").size(), 1u);
  }
  void change(int i, char c) {
    const std::string key = "k" + std::to_string(i);
    put(*store, key, value_of(i, c));
    records[key] = value_of(i, c);
  }
  void erase(int i) {
    const std::string key = "k" + std::to_string(i);
    store->write({}, [&](const View&, Batch& batch) { batch.erase(key); });
    records.erase(key);
  }
  std::vector<std::string> files(const std::string& part) {
    std::vector<std::string> names;
    for (const auto& name : list_dir(temp.fd()))
      if (name.find(part) != name.npos) names.push_back(name);
    return names;
  }
  std::string content(const std::string& name) { return read_file_at(temp.fd(), name); }
  void rewrite(const std::string& name, const std::string& bytes) {
    replace_file_at(temp.fd(), name, bytes, 0600, false);
  }
  void set_marker(char marker, const std::string& boot = {}) {
    Holder holder = decode_holder(content("db"));
    holder.marker = marker;
    if (!boot.empty()) holder.boot = boot;
    rewrite("db", encode(holder));
  }
  Error failure() {
    return error_of([&] { contents(*store); });
  }
  std::vector<std::string> damaged_files() {
    std::vector<std::string> names;
    for (const DamagedFile& one : store->repair({}, {})) names.push_back(one.file);
    return names;
  }

  TempDir temp;
  std::shared_ptr<Store> store = open_store(temp.path(), kOpenedEach);
  Records records;
};

TEST_F(RepairTest, OfOneThatIsWellChangesNothing) {
  EXPECT_TRUE(store->repair({}, {}).empty());
  EXPECT_EQ(contents(*store), records);
  EXPECT_TRUE(files("lost").empty());
  change(1, 'z');
  EXPECT_TRUE(store->repair({}, {}).empty());
  EXPECT_EQ(contents(*store), records);
  for (const auto& [key, value] : records) EXPECT_EQ(get(*store, key), value);
}

TEST_F(RepairTest, OfAnEmptyDirectory) {
  TempDir other;
  auto empty = open_store(other.path());
  EXPECT_EQ(empty->repair({}, {}).size(), 1u);  // no CURRENT
  EXPECT_TRUE(contents(*empty).empty());
  put(*empty, "a", "1");
  EXPECT_EQ(get(*empty, "a"), "1");
}

TEST_F(RepairTest, OfCurrentAndTheManifestLosesNothing) {
  const std::string manifest = files("MANIFEST").at(0);
  const std::string good = content(manifest);
  struct {
    const char* what;
    std::function<void()> damage;
    std::string file;
  } rows[] = {
      {"no CURRENT", [&] { unlink_at(temp.fd(), "CURRENT"); }, "CURRENT"},
      {"another CURRENT", [&] { rewrite("CURRENT", "MANIFEST-999999\n"); }, "MANIFEST-999999"},
      {"an empty CURRENT", [&] { rewrite("CURRENT", ""); }, "CURRENT"},
      {"a flipped manifest",
       [&] {
         std::string name = files("MANIFEST").at(0), bytes = content(name);
         bytes[20] = static_cast<char>(bytes[20] ^ 1);
         rewrite(name, bytes);
       },
       "MANIFEST"},
      {"no manifest", [&] { unlink_at(temp.fd(), files("MANIFEST").at(0)); }, "MANIFEST"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.what);
    row.damage();
    Error error = failure();
    EXPECT_EQ(error.code(), Code::kDataLoss) << error.what();
    EXPECT_THAT(std::string(error.find("file")), testing::HasSubstr(row.file));
    EXPECT_THAT(std::string(error.find("hint")), testing::HasSubstr("fsck --repair"));
    EXPECT_THAT(damaged_files(), testing::Contains(testing::HasSubstr(row.file)));
    EXPECT_EQ(contents(*store), records);
    for (const auto& [key, value] : records) ASSERT_EQ(get(*store, key), value) << key;
    change(7, 'q');
    EXPECT_EQ(contents(*store), records);
  }
}

// LevelDB's own repair would show an old value of a key that a newer table has.
TEST_F(RepairTest, OfATableLosesWhatWasInThatBlock) {
  const std::string name = files(".ldb").at(0);
  std::string bytes = content(name);
  bytes[100] = static_cast<char>(bytes[100] ^ 1);
  rewrite(name, bytes);
  Error error = failure();
  EXPECT_EQ(error.code(), Code::kDataLoss) << error.what();
  EXPECT_EQ(error.find("file"), name);
  EXPECT_THAT(damaged_files(), testing::ElementsAre(name));
  Records left = contents(*store);
  EXPECT_GT(left.size() + 20, records.size());
  int lost = 0;
  for (const auto& [key, value] : records) lost += left[key] != value;
  EXPECT_LT(lost, 20);
  EXPECT_EQ(read_file_at(open_dir_at(temp.fd(), "lost").get(), name), bytes);
}

TEST_F(RepairTest, OfAMissingTable) {
  const std::string name = files(".ldb").at(0);
  unlink_at(temp.fd(), name);
  Error error = failure();
  EXPECT_EQ(error.code(), Code::kDataLoss) << error.what();
  EXPECT_EQ(error.find("file"), name);
  store->repair({}, {});
  EXPECT_LT(contents(*store).size(), 350u);
  change(1, 'n');
  EXPECT_EQ(get(*store, "k1"), value_of(1, 'n'));
}

// Damage with whole records behind it is no crash's doing: it is said, not read over.
TEST_F(RepairTest, OfALogKeepsWhatIsBehindTheDamage) {
  store->repair({}, {});  // its log is empty now
  for (int i = 0; i < 20; ++i) change(i, 'l');
  const std::string log = files(".log").at(0), good = content(log);
  const Records all = records;
  for (std::size_t at = 20; at < good.size() - 2000; at += 1777) {
    SCOPED_TRACE(at);
    std::string bytes = good;
    bytes[at] = static_cast<char>(bytes[at] ^ 1);
    for (char marker : {kClean, kDirty}) {
      rewrite(log, bytes);
      set_marker(marker);
      Error error = failure();
      EXPECT_EQ(error.code(), Code::kDataLoss) << error.what();
      EXPECT_EQ(error.find("file"), log);
    }
    Salvaged saved = salvage(temp.fd());
    ASSERT_EQ(saved.damage.size(), 1u);
    int lost = 0;
    for (const auto& [key, value] : all) lost += saved.entries[key] != value;
    EXPECT_LE(lost, 2);
  }
  std::string bytes = good;
  bytes[20] = static_cast<char>(bytes[20] ^ 1);
  rewrite(log, bytes);
  EXPECT_THAT(damaged_files(), testing::ElementsAre(log));
  EXPECT_EQ(contents(*store).size(), records.size() - 1);
}

// All but the last record is there, or the error names the log.
TEST_F(RepairTest, OfALogThatWasCutOrZeroed) {
  store->repair({}, {});
  for (int i = 0; i < 10; ++i) change(i, 'c');
  const Records before = records;
  const std::string log = files(".log").at(0);
  const std::size_t begin = content(log).size();
  change(10, 'c');
  const std::string good = content(log);
  auto expect_kept = [&] {
    Records now = contents(*store);
    for (const auto& [key, value] : before) EXPECT_TRUE(key == "k10" || now[key] == value) << key;
  };
  std::map<std::string, std::string> saved;
  for (const auto& name : list_dir(temp.fd()))
    if (name != "lost") saved[name] = content(name);
  auto restore = [&] {
    for (const auto& name : list_dir(temp.fd()))
      if (name != "lost") unlink_at(temp.fd(), name);
    for (const auto& [name, bytes] : saved) create_file_at(temp.fd(), name, bytes, 0600);
  };
  for (std::size_t size = begin; size <= good.size(); size += size < begin + 30 ? 1 : 97) {
    restore();
    rewrite(log, good.substr(0, size));
    set_marker(kDirty);
    expect_kept();
  }
  for (std::size_t count : {1u, 100u, 900u, 1020u}) {
    for (const char* boot : {"", "another"}) {
      restore();
      rewrite(log, good.substr(0, good.size() - count) + std::string(count, '\0'));
      set_marker(kDirty, boot);
      expect_kept();
    }
    restore();  // closed cleanly: then it was no crash
    rewrite(log, good.substr(0, good.size() - count) + std::string(count, '\0'));
    set_marker(kClean);
    EXPECT_EQ(failure().find("file"), log);
    store->repair({}, {});
    expect_kept();
  }
  restore();
  rewrite(log, good.substr(0, good.size() - 4096) + std::string(4096, '\0'));
  set_marker(kClean);
  EXPECT_EQ(failure().find("file"), log);
  EXPECT_THAT(damaged_files(), testing::ElementsAre(log));
  EXPECT_GT(contents(*store).size(), 240u);
}

// One that was killed has left files beside the old ones.
TEST_F(RepairTest, AfterOneThatWasKilled) {
  unlink_at(temp.fd(), "CURRENT");
  make_dirs_at(temp.fd(), ".repair", 0700);
  create_file_at(temp.fd(), ".repair/CURRENT", "MANIFEST-000777\n", 0600);
  store->repair({}, {});
  EXPECT_EQ(contents(*store), records);
  EXPECT_TRUE(files(".repair").empty());
}

TEST_F(RepairTest, ThatWhatComesFirstRefusesChangesNothing) {
  unlink_at(temp.fd(), "CURRENT");
  auto refuse = [](const View&, Batch& batch) {
    batch.put("first", "1");
    throw Error(Code::kInternal, "no");
  };
  EXPECT_EQ(error_of([&] { store->repair({}, refuse); }).code(), Code::kInternal);
  EXPECT_EQ(failure().code(), Code::kDataLoss);
  store->repair({}, {});
  EXPECT_EQ(contents(*store), records);
}

TEST_F(RepairTest, WaitsForItsTurn) {
  auto other = open_store(temp.path());
  put(*other, "held", "open");  // by the same handle, which is closed for it
  EXPECT_TRUE(store->repair({}, {}).empty());
  EXPECT_EQ(get(*other, "held"), "open");
  store->read({}, [&](const View&) {
    EXPECT_EQ(error_of([&] { store->repair({}, {}); }).code(), Code::kInternal);
  });
}

TEST(LogFile, OfAnyBytes) {
  std::vector<std::string> read;
  auto take = [&](std::string_view record) { read.emplace_back(record); };
  EXPECT_FALSE(read_log("", take));
  EXPECT_FALSE(read_log("short", take));
  EXPECT_FALSE(read_log(std::string(40'000, '\0'), take));
  auto damage = read_log(std::string(40'000, 'x'), take);
  ASSERT_TRUE(damage);
  EXPECT_EQ(damage->at, 0u);
  EXPECT_TRUE(damage->is_tail);
  EXPECT_TRUE(read.empty());
}

TEST(LogFile, ABatchOfAnyBytes) {
  auto none = [](const LogChange&) {};
  const std::string header(8, '\0');
  EXPECT_TRUE(read_batch(header + std::string("\0\0\0\0", 4), none));
  for (const std::string& body :
       {std::string("\1\0\0\0", 4), std::string("\1\0\0\0\1\5ab", 8), std::string("\1\0\0\0\7", 5),
        std::string("\0\0\0\0x", 5), std::string("\1\0\0\0\1\1a\x90", 8)})
    EXPECT_FALSE(read_batch(header + body, none));
  EXPECT_FALSE(read_batch("x", none));
}

}  // namespace
}  // namespace ctrd::store
