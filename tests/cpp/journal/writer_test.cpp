// SPDX-License-Identifier: Apache-2.0
// Writers: one and many, rotation under them, a full disk.
#include "journal/writer.h"

#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <iostream>
#include <set>

#include "base/segment_name.h"
#include "journal/format.h"
#include "journal/scratch.h"

namespace ctrd::journal {
namespace {

const Limits kSmall{.segment_bytes = 1000, .total_bytes = 4000};

TEST(JournalWriter, WhatIsAppendedIsThere) {
  Scratch scratch;
  Writer writer(scratch.dir());
  EXPECT_EQ(writer.position(), 0u);
  append(writer, "one");
  std::vector<std::string> two{"two", std::string("with\nnewline\0", 13)};
  writer.append(two, soon());
  EXPECT_EQ(bodies(scratch), (std::vector<std::string>{"one", two[0], two[1]}));
  EXPECT_EQ(writer.position(), extent_of(scratch.dir().get()).end);
  EXPECT_EQ(scratch.names(), std::vector<std::string>{"00000000000000000000"});
}

TEST(JournalWriter, WhatAnAppendCosts) {
  Scratch scratch;
  Writer writer(scratch.dir());
  constexpr int kTimes = 2000;
  TimePoint began = Clock::now();
  for (int i = 0; i < kTimes; ++i) append(writer, std::string(200, 'x'));
  auto each = std::chrono::duration<double, std::micro>(Clock::now() - began).count() / kTimes;
  std::cout << "an append takes " << each << " us\n";
}

TEST(JournalWriter, NothingIsNothing) {
  Scratch scratch;
  Writer writer(scratch.dir());
  writer.append({}, soon());
  EXPECT_TRUE(scratch.names().empty());
}

TEST(JournalWriter, RotatesAndKeepsWithinItsBound) {
  Scratch scratch;
  Writer writer(scratch.dir(), kSmall);
  for (int i = 0; i < 500; ++i) append(writer, "record " + std::to_string(i));
  Extent kept = extent_of(scratch.dir().get());
  EXPECT_GT(kept.begin, 0u);
  EXPECT_LE(kept.end - kept.begin, kSmall.total_bytes);
  auto found = bodies(scratch, kept.begin);
  ASSERT_GT(found.size(), 20u);
  for (std::size_t i = 0; i < found.size(); ++i)
    EXPECT_EQ(found[i], "record " + std::to_string(500 - found.size() + i));
}

TEST(JournalWriter, ASealedSegmentWithoutASuccessorGetsOne) {
  Scratch scratch;
  Writer writer(scratch.dir());
  append(writer, "one");
  ::chmod(scratch.file(segment_name(0)).c_str(), 01400);  // as a writer that dies there leaves it
  Writer other(scratch.dir());
  append(other, "two");
  append(writer, "three");
  EXPECT_EQ(bodies(scratch), (std::vector<std::string>{"one", "two", "three"}));
  EXPECT_EQ(scratch.names().size(), 2u);
}

TEST(JournalWriter, NoUmaskSealsANewSegment) {
  Scratch scratch;
  mode_t before = ::umask(0777);
  Writer writer(scratch.dir(), kSmall);
  for (int i = 0; i < 50; ++i) append(writer, "one");
  ::umask(before);
  EXPECT_EQ(bodies(scratch).size(), 50u);
}

TEST(JournalWriter, GoesOnWhenSomebodyRemovesAll) {
  Scratch scratch;
  Writer writer(scratch.dir());
  append(writer, "one");
  std::filesystem::remove(scratch.file(segment_name(0)));
  append(writer, "two");
  EXPECT_EQ(bodies(scratch), std::vector<std::string>{"two"});
}

TEST(JournalWriter, AFifoInItsPlaceIsRefusedAtOnce) {
  Scratch scratch;
  ASSERT_EQ(::mkfifo(scratch.file(segment_name(0)).c_str(), 0600), 0);
  Writer writer(scratch.dir());
  EXPECT_THROW(append(writer, "one"), Error);
}

TEST(JournalWriter, ALockedSegmentEndsTheWaitAtItsDeadline) {
  Scratch scratch;
  Writer writer(scratch.dir());
  append(writer, "one");
  UniqueFd held(::open(scratch.file(segment_name(0)).c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_EQ(::flock(held.get(), LOCK_EX), 0);
  std::vector<std::string> two{"two"};
  try {
    writer.append(two, Wait{after(std::chrono::milliseconds(30)), {}});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kDeadlineExceeded);
  }
  held.reset();
  append(writer, "three");
  EXPECT_EQ(bodies(scratch), (std::vector<std::string>{"one", "three"}));
}

// Each writes its own numbers; segments change hands all the time.
TEST(JournalWriter, ManyProcessesLoseAndDoubleNothing) {
  Scratch scratch;
  constexpr int kWriters = 4, kEach = 400;
  Limits limits{.segment_bytes = 2000, .total_bytes = 1 << 30};
  std::vector<pid_t> children;
  for (int w = 0; w < kWriters; ++w)
    children.push_back(in_child([&] {
      Writer writer(scratch.dir(), limits);
      for (int i = 0; i < kEach; ++i)
        append(writer, std::to_string(w) + " " + std::to_string(i) + std::string(w * 7, '.'));
    }));
  for (pid_t child : children) EXPECT_EQ(exit_of(child), 0);
  Reader reader(scratch.dir(), 0);
  std::vector<int> next(kWriters, 0);
  uint64_t last = 0;
  for (const Record& record : all(reader)) {
    EXPECT_GT(record.seq, last);
    last = record.seq;
    auto writer = static_cast<std::size_t>(record.body[0] - '0');
    EXPECT_EQ(std::stoi(record.body.substr(2)), next[writer]++);
  }
  EXPECT_EQ(next, std::vector<int>(kWriters, kEach));
  EXPECT_EQ(reader.skipped_bytes(), 0u);
  EXPECT_GT(scratch.names().size(), 3u);
}

TEST(JournalWriter, AFullDiskIsSaidAndHarmsNothing) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root: a small tmpfs";
  Scratch scratch;
  if (::mount("tmpfs", scratch.path.c_str(), "tmpfs", 0, "size=64k") < 0)
    GTEST_SKIP() << "no tmpfs can be mounted here";
  {
    Writer writer(scratch.dir());
    std::size_t written = 0;
    std::optional<Error> failure;
    while (!failure) {
      try {
        append(writer, std::string(3000, 'x'));
        ++written;
      } catch (const Error& error) {
        failure = error;
      }
    }
    EXPECT_EQ(failure->code(), Code::kResourceExhausted);
    EXPECT_EQ(bodies(scratch).size(), written);
    ASSERT_EQ(::mount("tmpfs", scratch.path.c_str(), "tmpfs", MS_REMOUNT, "size=1m"), 0);
    append(writer, "there is room again");
    auto found = bodies(scratch);
    EXPECT_EQ(found.size(), written + 1);
    EXPECT_EQ(found.back(), "there is room again");
  }
  ::umount2(scratch.path.c_str(), MNT_DETACH);
}

// Killed at any moment, in the middle of writes and rotations.
TEST(JournalWriter, KilledWritersHarmNobody) {
  Scratch scratch;
  Limits limits{.segment_bytes = 3000, .total_bytes = 1 << 30};
  Writer mine(scratch.dir(), limits);
  for (int round = 0; round < 60; ++round) {
    int pipe[2];
    ASSERT_EQ(::pipe2(pipe, O_CLOEXEC), 0);
    pid_t child = in_child([&] {
      Writer writer(scratch.dir(), limits);
      for (int i = 0;; ++i) {
        append(writer, "child " + std::to_string(round) + " " + std::to_string(i));
        if (::write(pipe[1], "x", 1) < 0) ::_exit(1);
      }
    });
    ::close(pipe[1]);
    char byte = 0;
    for (int i = 0; i <= round % 7; ++i) ASSERT_EQ(::read(pipe[0], &byte, 1), 1);
    ::kill(child, SIGKILL);
    exit_of(child);
    int acknowledged = round % 7 + 1;
    while (::read(pipe[0], &byte, 1) == 1) ++acknowledged;
    ::close(pipe[0]);
    append(mine, "mine " + std::to_string(round));
    auto found = bodies(scratch);
    EXPECT_EQ(found.back(), "mine " + std::to_string(round));
    std::set<std::string> there(found.begin(), found.end());
    for (int i = 0; i < acknowledged; ++i)
      EXPECT_TRUE(there.contains("child " + std::to_string(round) + " " + std::to_string(i)));
  }
}

}  // namespace
}  // namespace ctrd::journal
