// SPDX-License-Identifier: Apache-2.0
// A process that is killed leaves a torn record at the end of the log. LevelDB, when it reuses such
// a log, writes behind the torn bytes and loses that at the next opening (leveldb#1287). The marker
// byte is there to prevent it.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "base/process.h"
#include "store/holder.h"
#include "store/support.h"

namespace ctrd::store {
namespace {

using Files = std::map<std::string, std::string>;

Files files_of(int dir) {
  Files files;
  for (const auto& name : list_dir(dir)) files[name] = read_file_at(dir, name);
  return files;
}

std::string log_of(const Files& files) {
  std::string name;
  for (const auto& [file, content] : files)
    if (file.ends_with(".log")) name = file;
  return name;
}

// What a killed holder leaves (kDirty), or what it would leave without a marker (kClean, forged).
void set_marker(Files& files, char marker) {
  Holder holder = decode_holder(files.at("db"));
  holder.marker = marker;
  files["db"] = encode(holder);
}

// A store of these files; six writes into it, one an opening. How many of them are lost. What was
// there before the torn record must be there.
int lost_of(const Files& files, std::size_t record_size) {
  TempDir temp;
  for (const auto& [name, content] : files) create_file_at(temp.fd(), name, content, 0600);
  auto store = open_store(temp.path(), kOpenedEach);
  for (int i = 0; i < 6; ++i) put(*store, "new" + std::to_string(i), std::string(record_size, 'n'));
  auto all = contents(*store);
  EXPECT_EQ(all.count("old0") + all.count("old1"), 2u);
  int lost = 6;
  for (const auto& [key, value] : all)
    if (key.starts_with("new") && value == std::string(record_size, 'n')) --lost;
  return lost;
}

struct Torn {
  Files files;
  std::string log;
  std::size_t begin = 0;  // of the last record
};

Torn with_records(std::size_t record_size) {
  TempDir temp;
  auto store = open_store(temp.path(), kOpenedEach);
  put(*store, "first", "");  // from the second opening on, the log is reused
  put(*store, "old0", std::string(record_size, 'o'));
  put(*store, "old1", std::string(record_size, 'o'));
  Torn torn;
  Files before = files_of(temp.fd());
  torn.log = log_of(before);
  torn.begin = before.at(torn.log).size();
  put(*store, "last", std::string(record_size, 'l'));
  torn.files = files_of(temp.fd());
  EXPECT_EQ(log_of(torn.files), torn.log);
  return torn;
}

// make soak: CTRD_SOAK=1, every byte; CTRD_SOAK=n: every nth of that. 0: the quick form.
std::size_t soak_step() {
  const char* step = ::getenv("CTRD_SOAK");
  return step ? std::max<std::size_t>(1, std::strtoul(step, nullptr, 10)) : 0;
}
bool is_long() { return soak_step() != 0; }

// Where the log is cut: every byte of the last record's first 4 KB and every 16th above. Quick:
// some of these, and those beside the page and block boundaries, where a kill would cut.
std::vector<std::size_t> cuts(std::size_t begin, std::size_t end) {
  std::vector<std::size_t> all;
  std::size_t every = end - begin < 4096 ? 9 : 613, number = 0;
  for (std::size_t at = begin; at < end; at += at < begin + 4096 ? 1 : 16, ++number) {
    bool edge = at % 4096 <= 1 || at % 32768 <= 7;
    if (is_long() ? number % soak_step() == 0 : edge || (at - begin) % every == 0)
      all.push_back(at);
  }
  all.push_back(end - 1);
  return all;
}

// Cuts the log inside its last record, and puts `tail` there. The losses, summed up.
int losses(std::size_t record_size, char marker, const std::string& tail = {}) {
  Torn torn = with_records(record_size);
  set_marker(torn.files, marker);
  std::string whole = torn.files.at(torn.log);
  int lost = 0;
  for (std::size_t size : cuts(torn.begin, whole.size())) {
    torn.files[torn.log] = whole.substr(0, size) + tail;
    lost += lost_of(torn.files, record_size);
  }
  return lost;
}

// Overwrites the last bytes of the log, at most its last record.
int losses_behind(std::size_t record_size, char byte) {
  Torn torn = with_records(record_size);
  set_marker(torn.files, kDirty);
  std::string whole = torn.files.at(torn.log);
  std::size_t most = std::min<std::size_t>(4096, whole.size() - torn.begin);
  int lost = 0;
  for (std::size_t count = 1; count <= most; count += is_long() ? soak_step() : most / 12 + 1) {
    torn.files[torn.log] = whole.substr(0, whole.size() - count) + std::string(count, byte);
    lost += lost_of(torn.files, record_size);
  }
  return lost;
}

struct TornLog : testing::TestWithParam<std::size_t> {};
INSTANTIATE_TEST_SUITE_P(RecordsOf, TornLog, testing::Values(100, 9'000, 40'000));

TEST_P(TornLog, LosesNothingCutAnywhere) { EXPECT_EQ(losses(GetParam(), kDirty), 0); }

TEST_P(TornLog, LosesNothingOverwritten) {
  EXPECT_EQ(losses_behind(GetParam(), '\0'), 0);
  EXPECT_EQ(losses_behind(GetParam(), '\x5a'), 0);
}

TEST_P(TornLog, LosesNothingBehindGarbage) {
  if (!is_long() && GetParam() > 10'000) GTEST_SKIP() << "in make soak";
  EXPECT_EQ(losses(GetParam(), kDirty, std::string(4096, '\0')), 0);
  EXPECT_EQ(losses(GetParam(), kDirty, std::string(513, '\x5a')), 0);
}

// The test of the tests: were the log reused, they would fail. At least that is said.
TEST_P(TornLog, WouldLoseWithoutTheMarker) {
  Error error = error_of([&] { losses(GetParam(), kClean); });
  EXPECT_EQ(error.code(), Code::kDataLoss) << error.what();
  EXPECT_NE(error.find("file").find(".log"), std::string_view::npos);
}

TEST(TornLogMarker, AnotherBootIsAsGoodAsACrash) {
  Torn torn = with_records(100);
  Holder holder = decode_holder(torn.files.at("db"));
  holder.boot = "another";
  holder.marker = kClean;
  torn.files["db"] = encode(holder);
  torn.files[torn.log].pop_back();
  EXPECT_EQ(lost_of(torn.files, 100), 0);
}

TEST(TornLogMarker, FollowsTheOperation) {
  TempDir temp;
  auto store = open_store(temp.path(), kOpenedEach);
  store->read({}, [&](const View&) {
    Holder holder = decode_holder(read_file_at(temp.fd(), "db"));
    EXPECT_EQ(holder.marker, kDirty);
    EXPECT_EQ(holder.pid, ::getpid());
  });
  Holder holder = decode_holder(read_file_at(temp.fd(), "db"));
  EXPECT_EQ(holder.marker, kClean);
  EXPECT_EQ(holder.boot, boot_id());
}

}  // namespace
}  // namespace ctrd::store
