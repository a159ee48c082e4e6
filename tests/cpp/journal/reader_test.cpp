// SPDX-License-Identifier: Apache-2.0
// Readers: from any position, past damage, behind rotation.
#include "journal/reader.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <random>

#include "base/segment_name.h"
#include "journal/format.h"
#include "journal/scratch.h"

namespace ctrd::journal {
namespace {

std::string name0() { return segment_name(0); }

Code code_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.code();
  }
  return Code::kOk;
}

TEST(JournalReader, FromEachRecordOn) {
  Scratch scratch;
  Writer writer(scratch.dir(), {.segment_bytes = 200, .total_bytes = 1 << 20});
  for (int i = 0; i < 50; ++i) append(writer, std::to_string(i));
  Reader reader(scratch.dir(), 0);
  auto records = all(reader);
  ASSERT_EQ(records.size(), 50u);
  for (std::size_t i = 0; i < 50; ++i) {
    auto rest = bodies(scratch, records[i].seq);
    EXPECT_EQ(rest.size(), 49 - i);
    if (!rest.empty()) {
      EXPECT_EQ(rest.front(), std::to_string(i + 1));
    }
  }
}

// "What comes after it" holds for any number, also one inside a record.
TEST(JournalReader, FromEveryPositionOn) {
  Scratch scratch;
  Writer writer(scratch.dir(), {.segment_bytes = 150, .total_bytes = 1 << 20});
  for (int i = 0; i < 20; ++i) append(writer, "\n\nbody " + std::to_string(i));
  Reader reader(scratch.dir(), 0);
  auto records = all(reader);
  for (uint64_t at = 0; at <= records.back().seq; ++at) {
    auto expected = static_cast<std::size_t>(
        std::count_if(records.begin(), records.end(), [&](auto& r) { return r.seq > at; }));
    EXPECT_EQ(bodies(scratch, at).size(), expected) << at;
  }
}

TEST(JournalReader, AnEmptyDirectoryHasNothingYet) {
  Scratch scratch;
  Reader reader(scratch.dir(), 0);
  EXPECT_FALSE(reader.next());
  Writer writer(scratch.dir());
  append(writer, "first");
  EXPECT_EQ(reader.next()->body, "first");
  EXPECT_EQ(code_of([&] { Reader(scratch.dir(), 1000000); }), Code::kNotFound);
}

TEST(JournalReader, SeesWhatComesAndFollowsRotation) {
  Scratch scratch;
  Writer writer(scratch.dir(), {.segment_bytes = 100, .total_bytes = 1 << 20});
  Reader reader(scratch.dir(), 0);
  for (int i = 0; i < 100; ++i) {
    append(writer, std::to_string(i));
    ASSERT_EQ(reader.next()->body, std::to_string(i));
    ASSERT_FALSE(reader.next());
  }
}

TEST(JournalReader, WhatIsNoLongerKeptIsNotFound) {
  Scratch scratch;
  Writer writer(scratch.dir(), {.segment_bytes = 200, .total_bytes = 600});
  append(writer, "first");
  Reader slow(scratch.dir(), 0);
  for (int i = 0; i < 100; ++i) append(writer, "more " + std::to_string(i));
  EXPECT_EQ(code_of([&] { Reader(scratch.dir(), 0); }), Code::kNotFound);
  EXPECT_EQ(code_of([&] { all(slow); }), Code::kNotFound);
  EXPECT_EQ(code_of([&] { bodies(scratch, extent_of(scratch.dir().get()).begin); }), Code::kOk);
}

// A torn record swallows nothing of what was appended behind it.
TEST(JournalReader, TornAtEveryByte) {
  std::string torn = encode_record("a record that is torn\nin two");
  for (std::size_t n = 1; n + 1 < torn.size(); ++n) {
    Scratch scratch;
    Writer writer(scratch.dir());
    append(writer, "before");
    scratch.add_raw(name0(), torn.substr(0, n));
    Reader follower(scratch.dir(), 0);
    EXPECT_EQ(follower.next()->body, "before");
    EXPECT_FALSE(follower.next()) << n;
    append(writer, "after");
    EXPECT_EQ(follower.next()->body, "after") << n;
    EXPECT_EQ(follower.skipped_bytes(), n);
    EXPECT_EQ(follower.skipped_places(), 1u);
    EXPECT_EQ(bodies(scratch), (std::vector<std::string>{"before", "after"})) << n;
  }
}

// Its last newline is the next one's first: both are there, once.
TEST(JournalReader, OnlyTheLastByteTorn) {
  Scratch scratch;
  Writer writer(scratch.dir());
  std::string torn = encode_record("torn");
  scratch.add_raw(name0(), torn.substr(0, torn.size() - 1));
  Reader follower(scratch.dir(), 0);
  EXPECT_FALSE(follower.next());
  append(writer, "after");
  append(writer, "more");
  auto records = all(follower);
  ASSERT_EQ(records.size(), 3u);
  EXPECT_EQ(records[0].body, "torn");
  EXPECT_EQ(records[1].body, "after");
  EXPECT_EQ(follower.skipped_bytes(), 0u);
  EXPECT_EQ(bodies(scratch, records[0].seq), (std::vector<std::string>{"after", "more"}));
  EXPECT_EQ(bodies(scratch, records[1].seq), std::vector<std::string>{"more"});
}

TEST(JournalReader, TornBeforeASeal) {
  Scratch scratch;
  Writer writer(scratch.dir());
  append(writer, "before");
  scratch.add_raw(name0(), encode_record("torn").substr(0, 15));
  ::chmod(scratch.file(name0()).c_str(), 01400);
  append(writer, "after");
  Reader reader(scratch.dir(), 0);
  EXPECT_EQ(all(reader).size(), 2u);
  EXPECT_EQ(reader.skipped_bytes(), 15u);
}

TEST(JournalReader, AWholeRecordInsideATornOneIsShownOnce) {
  Scratch scratch;
  Writer writer(scratch.dir());
  std::string outer = encode_record("x" + encode_record("inner") + "y");
  append(writer, "x" + encode_record("inner") + "y");
  EXPECT_EQ(bodies(scratch).size(), 1u);
}

// Random bytes between good records, also long ones: all good ones are found.
TEST(JournalReader, GarbageAnywhere) {
  std::mt19937 random(7);
  for (int round = 0; round < 30; ++round) {
    Scratch scratch;
    Writer writer(scratch.dir(), {.segment_bytes = 400000, .total_bytes = 1 << 30});
    std::vector<std::string> expected;
    for (int i = 0; i < 20; ++i) {
      std::string garbage(random() % (round % 3 == 0 ? 100000 : 200), '\0');
      for (char& c : garbage) c = static_cast<char>(random() % 4 == 0 ? '\n' : random());
      if (random() % 2)
        scratch.add_raw(scratch.names().empty() ? name0() : scratch.names().back(), garbage);
      expected.push_back("good " + std::to_string(i));
      append(writer, expected.back());
    }
    EXPECT_EQ(bodies(scratch), expected);
  }
}

TEST(JournalReader, LongRecords) {
  Scratch scratch;
  Writer writer(scratch.dir());
  for (std::size_t size : {0u, 1u, 65518u, 65519u, 65536u, 200000u, 262144u})
    append(writer, std::string(size, '\n'));
  auto found = bodies(scratch);
  ASSERT_EQ(found.size(), 7u);
  EXPECT_EQ(found.back().size(), 262144u);
}

TEST(JournalReader, NearAnyPosition) {
  Scratch scratch;
  Writer writer(scratch.dir(), {.segment_bytes = 150, .total_bytes = 400});
  for (int i = 0; i < 30; ++i) append(writer, "body " + std::to_string(i));
  Extent kept = extent_of(scratch.dir().get());
  for (uint64_t at = 0; at <= kept.end; ++at) {
    Reader reader = Reader::near(scratch.dir(), at);
    auto found = all(reader);
    if (at + 60 < kept.end) {
      EXPECT_EQ(found.back().body, "body 29") << at;
    }
    if (at < kept.begin) {
      EXPECT_EQ(found.size(), bodies(scratch, kept.begin).size());
    }
  }
}

TEST(JournalReader, Mentions) {
  Scratch scratch;
  Writer writer(scratch.dir(), {.segment_bytes = 100000, .total_bytes = 1 << 30});
  append(writer, "needle-one");
  uint64_t middle = writer.position();
  for (int i = 0; i < 10; ++i)
    append(writer, std::string(60000, 'x') + "needle-" + std::to_string(i));
  int dir = ::open(scratch.path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  using Bools = std::vector<bool>;
  EXPECT_EQ(mentioned(dir, {"needle-one", "needle-3", "needle-11"}, 0), (Bools{true, true, false}));
  EXPECT_EQ(mentioned(dir, {"needle-one"}, middle), Bools{false});
  for (int i = 0; i < 10; ++i)
    EXPECT_EQ(mentioned(dir, {"needle-" + std::to_string(i)}, middle), Bools{true});
  EXPECT_EQ(mentioned(dir, {}, 0), Bools{});
  ::close(dir);
}

// While a writer rotates and removes as fast as it can.
TEST(JournalReader, FollowsAWriterInAnotherProcess) {
  Scratch scratch;
  constexpr int kCount = 3000;
  pid_t child = in_child([&] {
    Writer writer(scratch.dir(), {.segment_bytes = 5000, .total_bytes = 1 << 30});
    for (int i = 0; i < kCount; ++i) append(writer, std::to_string(i));
  });
  Reader reader(scratch.dir(), 0);
  TimePoint deadline = after(std::chrono::seconds(60));
  for (int i = 0; i < kCount && Clock::now() < deadline;) {
    auto record = reader.next();
    if (!record) continue;
    ASSERT_EQ(record->body, std::to_string(i++));
  }
  EXPECT_EQ(exit_of(child), 0);
  EXPECT_FALSE(reader.next());
  EXPECT_EQ(reader.skipped_bytes(), 0u);
}

}  // namespace
}  // namespace ctrd::journal
