// SPDX-License-Identifier: Apache-2.0
#include "engine/log_lines.h"

#include <gtest/gtest.h>

namespace ctrd::engine {
namespace {

api::LogRecord record(uint64_t seq, int stream, std::string data) {
  return {seq, static_cast<int64_t>(1000 + seq), static_cast<api::Stream>(stream), std::move(data)};
}

TEST(LogLines, LinesSpanChunksAndStreamsAreApart) {
  LogLines lines;
  std::deque<LogLine> out;
  lines.add(record(0, 1, "one\ntw"), &out);
  lines.add(record(1, 2, "err\n"), &out);
  lines.add(record(2, 1, "o\n\nlast"), &out);
  lines.add(record(3, 3, ""), &out);
  ASSERT_EQ(out.size(), 5u);
  EXPECT_EQ(out[0].data, "one");
  EXPECT_EQ(out[1].data, "err");
  EXPECT_EQ(out[1].stream, 2);
  EXPECT_EQ(out[2].data, "two");
  EXPECT_EQ(out[2].time_ns, 1002);
  EXPECT_EQ(out[3].data, "");
  EXPECT_EQ(out[4].data, "last");
  EXPECT_TRUE(out[4].partial);
  EXPECT_FALSE(out[3].partial);
  for (std::size_t i = 1; i < out.size(); ++i) EXPECT_LT(out[i - 1].seq, out[i].seq);
}

TEST(LogLines, LongLinesAreCut) {
  LogLines lines;
  std::deque<LogLine> out;
  std::string whole(kMaxLine, 'x');
  lines.add(record(0, 1, whole), &out);
  EXPECT_TRUE(out.empty());
  lines.add(record(1, 1, "\n"), &out);  // exactly kMaxLine bytes are a whole line
  ASSERT_EQ(out.size(), 1u);
  EXPECT_FALSE(out[0].partial);
  EXPECT_EQ(out[0].data, whole);
  lines.add(record(2, 1, whole), &out);
  lines.add(record(3, 1, "yz\n"), &out);
  ASSERT_EQ(out.size(), 3u);
  EXPECT_TRUE(out[1].partial);
  EXPECT_EQ(out[1].data, whole);
  EXPECT_EQ(out[2].data, "yz");
  EXPECT_LT(out[1].seq, out[2].seq);
}

TEST(LogLines, AGapEndsWhatWasBegun) {
  LogLines lines;
  std::deque<LogLine> out;
  lines.add(record(4, 1, "half"), &out);
  lines.add(record(7, 1, "other\n"), &out);
  ASSERT_EQ(out.size(), 2u);
  EXPECT_TRUE(out[0].partial);
  EXPECT_EQ(out[0].data, "half");
  EXPECT_EQ(out[1].data, "other");
  EXPECT_LT(out[0].seq, out[1].seq);
}

TEST(LogLines, FinishGivesBothStreamsRests) {
  LogLines lines;
  std::deque<LogLine> out;
  lines.add(record(0, 2, "b"), &out);
  lines.add(record(1, 1, "a"), &out);
  lines.finish(&out);
  lines.finish(&out);
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(out[0].data, "a");
  EXPECT_EQ(out[1].data, "b");
  EXPECT_LT(out[0].seq, out[1].seq);
}

}  // namespace
}  // namespace ctrd::engine
