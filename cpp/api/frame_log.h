// SPDX-License-Identifier: Apache-2.0
// The framed log: what the shim writes and any number of readers read by offset. A directory of
// segments, each named by the sequence number of its first record (20 digits), the newest appended
// to, the oldest removed. A record is a header of 24 bytes and its data:
//
//   u32be length of data, at most 65,536 | u8 stream | 3 bytes "ctr" | u64be sequence | i64be time
//
// A record is one chunk as it was read from the pipe, not a line: readers make the lines. Sequence
// numbers rise; a gap says that output was lost there. Half a record at the end of the newest
// segment is being written; a header that cannot be one ends the reading of its segment.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.h"

namespace ctrd::api {

// kEnd: the log is complete (task ended and drained).
enum class Stream : uint8_t { kStdout = 1, kStderr = 2, kEnd = 3 };

constexpr std::size_t kMaxLogData = 64 << 10;  // of a record

struct LogRecord {
  uint64_t seq = 0;     // 0, 1, 2 ... in order of arrival at the shim
  int64_t time_ns = 0;  // wall clock
  Stream stream = Stream::kStdout;
  std::string data;
};

class LogWriter {
 public:
  // dir: an existing empty directory. max_bytes: the oldest segments beyond it are removed
  // (segments of max_bytes / 8). No file is made before the first record.
  LogWriter(UniqueFd dir, int64_t max_bytes);
  // One write a record; more than kMaxLogData becomes several. A full disk loses output: false is
  // returned, the next successful record has a gap in seq before it. Does not throw for the disk.
  bool append(Stream stream, std::string_view data);
  // Appends kEnd; on a full disk it takes the place of the last record. Nothing is appended later.
  void end();

 private:
  bool append_record(Stream stream, std::string_view data);
  bool make_room(std::size_t size);
  bool open_segment();
  void remove_oldest(std::size_t coming);
  bool write_record(std::string_view header, std::string_view data);

  UniqueFd dir_, file_;
  int64_t max_bytes_, segment_bytes_ = 0, written_ = 0, total_ = 0;
  int64_t last_ = 0;  // where the newest segment's last record begins
  uint64_t seq_ = 0;
  bool ended_ = false, full_ = false;  // full_: the newest segment takes nothing more
  std::deque<std::pair<uint64_t, int64_t>> segments_;  // name and bytes, without the newest
  uint64_t segment_ = 0;                               // the newest's name
};

class LogReader {
 public:
  // From the first kept record with seq >= from. dir may be still empty.
  LogReader(UniqueFd dir, uint64_t from = 0);
  // The next whole record, nullopt: nothing more now (a half-written one is not an error). kEnd is
  // not returned: it makes ended() true, and from then on always nullopt. Continues over rotated
  // segments, past damage at the next one.
  std::optional<LogRecord> next();
  bool ended() const { return ended_; }
  int dir() const { return dir_.get(); }  // for inotify: IN_MODIFY|IN_CREATE

 private:
  enum class Got { kRecord, kNothing, kDamage };
  Got read(LogRecord& record);
  Got parse(LogRecord& record);
  void fill();
  void open_segment(uint64_t first);
  std::optional<uint64_t> choose_segment() const;

  UniqueFd dir_, file_;
  uint64_t from_, segment_ = 0;
  std::optional<uint64_t> last_seq_;  // met, in any segment
  int64_t offset_ = 0;                // of what comes after the buffer's consumed part
  std::string buffer_;  // read from the file, of which buffer_begin_ bytes are consumed
  std::size_t buffer_begin_ = 0;
  bool ended_ = false, open_ = false, damaged_ = false;
};

}  // namespace ctrd::api
