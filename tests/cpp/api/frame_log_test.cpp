// SPDX-License-Identifier: Apache-2.0
#include "api/frame_log.h"

#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <atomic>
#include <csignal>
#include <random>
#include <thread>

#include "api/log_format.h"
#include "api/scratch.h"
#include "base/segment_name.h"

namespace ctrd::api {
namespace {

constexpr int64_t kLarge = 64 << 20;

std::string numbered(uint64_t i) { return "line " + std::to_string(i); }

std::vector<LogRecord> read_all(LogReader& reader) {
  std::vector<LogRecord> records;
  while (auto record = reader.next()) records.push_back(std::move(*record));
  return records;
}

std::vector<std::string> segments(const Scratch& scratch) {
  auto names = list_dir(scratch.dir().get());
  std::sort(names.begin(), names.end());
  return names;
}

std::uintmax_t bytes_in(const Scratch& scratch) {
  std::uintmax_t total = 0;
  for (const auto& name : segments(scratch))
    total += std::filesystem::file_size(scratch.path + "/" + name);
  return total;
}

void append_file(const Scratch& scratch, const std::string& name, std::string_view bytes) {
  write_all(open_at(scratch.dir().get(), name, O_WRONLY | O_CREAT | O_APPEND).get(), bytes);
}

TEST(FrameLog, KeepsWhatWasWritten) {
  Scratch scratch;
  LogWriter writer(scratch.dir(), kLarge);
  LogReader reader(scratch.dir());
  EXPECT_FALSE(reader.next());
  EXPECT_TRUE(writer.append(Stream::kStdout, "out"));
  EXPECT_TRUE(writer.append(Stream::kStderr, std::string("\0\n\xff", 3)));
  auto first = reader.next(), second = reader.next();
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->seq, 0u);
  EXPECT_EQ(first->stream, Stream::kStdout);
  EXPECT_EQ(first->data, "out");
  EXPECT_GT(first->time_ns, 1'600'000'000'000'000'000);
  EXPECT_EQ(second->seq, 1u);
  EXPECT_EQ(second->stream, Stream::kStderr);
  EXPECT_EQ(second->data, std::string("\0\n\xff", 3));
  EXPECT_FALSE(reader.next());
  EXPECT_FALSE(reader.ended());
  writer.end();
  EXPECT_FALSE(reader.next());
  EXPECT_TRUE(reader.ended());
  EXPECT_FALSE(writer.append(Stream::kStdout, "too late"));
  EXPECT_FALSE(reader.next());
}

TEST(FrameLog, NothingWrittenIsNoFileAndAnEndAllTheSame) {
  Scratch scratch;
  LogWriter writer(scratch.dir(), kLarge);
  EXPECT_TRUE(writer.append(Stream::kStdout, ""));
  EXPECT_TRUE(segments(scratch).empty());
  writer.end();
  writer.end();
  LogReader reader(scratch.dir());
  EXPECT_FALSE(reader.next());
  EXPECT_TRUE(reader.ended());
}

TEST(FrameLog, LargeChunksAreSplitAt64KiB) {
  Scratch scratch;
  LogWriter writer(scratch.dir(), kLarge);
  std::string data(2 * kMaxLogData + 1, 'x');
  data[kMaxLogData] = 'y';
  EXPECT_TRUE(writer.append(Stream::kStdout, std::string_view(data).substr(0, kMaxLogData)));
  EXPECT_TRUE(writer.append(Stream::kStdout, data));
  LogReader reader(scratch.dir());
  auto records = read_all(reader);
  ASSERT_EQ(records.size(), 4u);
  EXPECT_EQ(records[0].data.size(), kMaxLogData);
  EXPECT_EQ(records[1].data + records[2].data + records[3].data, data);
}

TEST(FrameLog, RotatesAndRemovesTheOldest) {
  Scratch scratch;
  constexpr int64_t kMax = 64 << 10;
  LogWriter writer(scratch.dir(), kMax);
  for (uint64_t i = 0; i < 20'000; ++i) {
    ASSERT_TRUE(writer.append(Stream::kStdout, numbered(i)));
    if (i % 1000 == 0) {
      ASSERT_LE(bytes_in(scratch), static_cast<std::uintmax_t>(kMax));
    }
  }
  EXPECT_GE(segments(scratch).size(), 7u);
  LogReader reader(scratch.dir());
  auto records = read_all(reader);
  EXPECT_EQ(records.back().seq, 19'999u);
  EXPECT_GT(records.size(), 1000u);
  for (std::size_t i = 0; i < records.size(); ++i) {
    EXPECT_EQ(records[i].seq, 20'000 - records.size() + i);
    EXPECT_EQ(records[i].data, numbered(records[i].seq));
  }
}

TEST(FrameLog, TheNewestSegmentStaysWhateverTheBound) {
  for (int64_t max : {int64_t{-1}, int64_t{0}, int64_t{1}}) {
    Scratch scratch;
    LogWriter writer(scratch.dir(), max);
    for (int i = 0; i < 3; ++i)
      EXPECT_TRUE(writer.append(Stream::kStdout, std::string(kMaxLogData, 'x')));
    EXPECT_EQ(segments(scratch).size(), 1u);
    writer.end();
    LogReader reader(scratch.dir());
    read_all(reader);
    EXPECT_TRUE(reader.ended());
  }
}

TEST(FrameLog, ReadsFromAnyRecord) {
  Scratch scratch;
  LogWriter writer(scratch.dir(), 8 * 4096);
  for (uint64_t i = 0; i < 500; ++i) ASSERT_TRUE(writer.append(Stream::kStdout, numbered(i)));
  for (uint64_t from = 0; from < 500; from += 7) {
    LogReader reader(scratch.dir(), from);
    auto records = read_all(reader);
    ASSERT_EQ(records.size(), 500 - from);
    EXPECT_EQ(records[0].seq, from);
  }
  LogReader beyond(scratch.dir(), 500);
  EXPECT_FALSE(beyond.next());
  ASSERT_TRUE(writer.append(Stream::kStdout, "new"));
  EXPECT_EQ(beyond.next()->data, "new");
}

TEST(FrameLog, AReaderThatIsOvertakenGoesOnWithWhatIsKept) {
  Scratch scratch;
  LogWriter writer(scratch.dir(), 8 * 4096);
  LogReader reader(scratch.dir());
  ASSERT_TRUE(writer.append(Stream::kStdout, numbered(0)));
  EXPECT_EQ(reader.next()->seq, 0u);
  for (uint64_t i = 1; i < 10'000; ++i) ASSERT_TRUE(writer.append(Stream::kStdout, numbered(i)));
  uint64_t last = 0;
  for (const LogRecord& record : read_all(reader)) {
    EXPECT_GT(record.seq, last);
    EXPECT_EQ(record.data, numbered(record.seq));
    last = record.seq;
  }
  EXPECT_EQ(last, 9'999u);
}

// While the writer writes: every reader sees each record once, in order.
void follow(const Scratch& scratch, uint64_t from, uint64_t count) {
  LogReader reader(scratch.dir(), from);
  uint64_t want = from;
  while (!reader.ended()) {
    auto record = reader.next();
    if (!record) {
      std::this_thread::yield();
      continue;
    }
    ASSERT_EQ(record->seq, want);
    ASSERT_EQ(record->data, numbered(want));
    ++want;
  }
  EXPECT_EQ(want, count);
}

TEST(FrameLog, ManyReadersFollow) {
  Scratch scratch;
  constexpr uint64_t kCount = 20'000;
  std::vector<std::thread> readers;
  for (uint64_t i = 0; i < 8; ++i)
    readers.emplace_back([&, i] { follow(scratch, 100 * i, kCount); });
  LogWriter writer(scratch.dir(), kLarge / 64);  // rotates, and all of it is kept
  for (uint64_t i = 0; i < kCount; ++i) ASSERT_TRUE(writer.append(Stream::kStdout, numbered(i)));
  writer.end();
  for (auto& reader : readers) reader.join();
  EXPECT_GT(segments(scratch).size(), 3u);
}

std::string record_bytes(uint64_t seq, std::string_view data) {
  auto header = encode_log_header({.length = static_cast<uint32_t>(data.size()),
                                   .stream = Stream::kStdout,
                                   .seq = seq,
                                   .time_ns = 1});
  return std::string(header.data(), header.size()).append(data);
}

TEST(FrameLog, HalfARecordIsNothingYet) {
  Scratch scratch;
  std::string record = record_bytes(0, "hello");
  LogReader reader(scratch.dir());
  for (char byte : record) {
    EXPECT_FALSE(reader.next());
    append_file(scratch, segment_name(0), std::string_view(&byte, 1));
  }
  EXPECT_EQ(reader.next()->data, "hello");
}

TEST(FrameLog, HalfARecordMayBeTakenBack) {
  Scratch scratch;
  append_file(scratch, segment_name(0),
              record_bytes(0, "first") + record_bytes(1, "taken back").substr(0, 30));
  LogReader reader(scratch.dir());
  EXPECT_EQ(reader.next()->data, "first");
  EXPECT_FALSE(reader.next());
  std::filesystem::resize_file(scratch.path + "/" + segment_name(0),
                               record_bytes(0, "first").size());
  append_file(scratch, segment_name(0), record_bytes(2, "third"));
  EXPECT_EQ(reader.next()->data, "third");
}

std::string with_byte(std::string bytes, std::size_t at, char value) {
  bytes[at] = value;
  return bytes;
}

TEST(FrameLog, DamageIsPassedOverAtTheNextSegment) {
  std::string good = record_bytes(1, "one");
  struct Row {
    const char* name;
    std::string bytes;
  };
  for (const Row& row :
       {Row{"length", with_byte(good, 0, '\x7f')}, Row{"length + 1", with_byte(good, 1, '\x02')},
        Row{"stream 0", with_byte(good, 4, 0)}, Row{"stream 4", with_byte(good, 4, 4)},
        Row{"mark", with_byte(good, 6, 'x')}, Row{"seq again", record_bytes(0, "zero")},
        Row{"zeros", std::string(100, '\0')}, Row{"half", good.substr(0, 25)},
        Row{"half a header", good.substr(0, 5)}, Row{"text", "Segmentation fault (core dumped)"}}) {
    SCOPED_TRACE(row.name);
    Scratch scratch;
    append_file(scratch, segment_name(0), record_bytes(0, "zero") + row.bytes);
    LogReader reader(scratch.dir());
    EXPECT_EQ(reader.next()->data, "zero");
    EXPECT_FALSE(reader.next());
    append_file(scratch, segment_name(5), record_bytes(5, "five"));
    EXPECT_EQ(reader.next()->data, "five");
    EXPECT_FALSE(reader.next());
  }
}

TEST(FrameLog, OtherFilesAreNoSegments) {
  Scratch scratch;
  for (const char* name :
       {"0", "x", "00000000000000000000.tmp", "99999999999999999999", "0000000000000000000x"})
    append_file(scratch, name, record_bytes(0, "wrong"));
  std::filesystem::create_directory(scratch.path + "/" + segment_name(0));
  ASSERT_EQ(::mkfifo((scratch.path + "/" + segment_name(1)).c_str(), 0600), 0);
  append_file(scratch, segment_name(2), record_bytes(2, "right"));
  LogReader reader(scratch.dir());
  EXPECT_EQ(reader.next()->data, "right");
}

TEST(FrameLog, FuzzedSegmentsNeverCrash) {
  std::mt19937 random(1);
  std::string good;
  for (uint64_t i = 0; i < 20; ++i) good += record_bytes(i, numbered(i));
  for (int round = 0; round < 500; ++round) {
    Scratch scratch;
    std::string bytes = good;
    for (auto n = random() % 3 + 1; n > 0; --n)
      bytes[random() % bytes.size()] = static_cast<char>(random());
    if (random() % 4 == 0) bytes.resize(random() % bytes.size());
    append_file(scratch, segment_name(0), bytes);
    append_file(scratch, segment_name(100), record_bytes(100, "after"));
    LogReader reader(scratch.dir());
    auto records = read_all(reader);
    if (!reader.ended()) {
      ASSERT_FALSE(records.empty());
      ASSERT_TRUE(records.back().data == "after" || records.back().seq > 100) << round;
    }
  }
}

// Runs in a child, because what it does (mounts, limits) must not outlive it. 0: all well.
template <typename F>
int in_child(F f) {
  pid_t pid = ::fork();
  if (pid == 0) {
    int status = 99;
    try {
      status = f();
    } catch (...) {
    }
    ::_exit(status);
  }
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// Fills the disk, frees some, goes on, fills it again, ends. Returns the number of the step that
// failed.
int live_through_a_full_disk(const std::string& path) {
  LogWriter writer(open_dir(path), kLarge);
  std::string data(5000, 'x');
  uint64_t written = 0;
  std::filesystem::create_directory(path + "/ballast");
  create_file_at(open_dir(path + "/ballast").get(), "file", std::string(100'000, 'b'), 0600);
  while (writer.append(Stream::kStdout, data)) ++written;
  if (written == 0 || writer.append(Stream::kStdout, data)) return 1;
  std::filesystem::remove_all(path + "/ballast");
  if (!writer.append(Stream::kStderr, "again")) return 2;
  LogReader reader(open_dir(path));
  auto records = read_all(reader);
  if (records.size() != written + 1 || records.back().data != "again") return 3;
  if (records.back().seq != written + 2) return 4;  // the gap tells of the two lost
  while (writer.append(Stream::kStdout, data)) {
  }
  while (writer.append(Stream::kStdout, "x")) {
  }
  writer.end();
  read_all(reader);
  return reader.ended() ? 0 : 5;
}

TEST(FrameLog, AFullDiskLosesOutputAndSaysSo) {
  Scratch scratch;
  int status = in_child([&] {
    if (::unshare(CLONE_NEWNS) != 0 ||
        ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
      return 77;
    if (::mount("tmpfs", scratch.path.c_str(), "tmpfs", 0, "size=512k") != 0) return 77;
    return live_through_a_full_disk(scratch.path);
  });
  if (status == 77) GTEST_SKIP() << "no tmpfs can be mounted here";
  EXPECT_EQ(status, 0);
}

TEST(FrameLog, ALimitOfFileSizeStartsAnotherSegment) {
  Scratch scratch;
  int status = in_child([&] {
    std::signal(SIGXFSZ, SIG_IGN);
    rlimit limit{.rlim_cur = 10'000, .rlim_max = 10'000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    LogWriter writer(scratch.dir(), kLarge);
    int lost = 0;
    for (int i = 0; i < 100; ++i)
      lost += writer.append(Stream::kStdout, std::string(1000, 'x')) ? 0 : 1;
    writer.end();
    LogReader reader(scratch.dir());
    auto count = static_cast<int>(read_all(reader).size());
    return reader.ended() && lost > 0 && lost < 30 && count == 100 - lost ? 0 : 1;
  });
  EXPECT_EQ(status, 0);
}

TEST(FrameLog, ADirectoryThatHasGoneLosesOutput) {
  Scratch scratch;
  LogWriter writer(scratch.dir(), kLarge);
  LogReader reader(scratch.dir());
  std::filesystem::remove_all(scratch.path);
  EXPECT_FALSE(writer.append(Stream::kStdout, "lost"));
  writer.end();
  EXPECT_FALSE(reader.next());
}

}  // namespace
}  // namespace ctrd::api
