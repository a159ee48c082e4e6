// SPDX-License-Identifier: Apache-2.0
// The framed log: what the shim writes and any number of readers read by offset. A directory of
// segments named by the sequence number of their first record (20 digits); a record is a 20-byte
// header (u32be length of text, u8 stream, 3 bytes 0, u64be sequence, ... see .cpp) and text. A
// record is one chunk as it was read from the pipe (at most 64 KiB), not a line: readers make the
// lines.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.h"

namespace ctrd::api {

enum class Stream : uint8_t {
  kStdout = 1,
  kStderr = 2,
  kEnd = 3
};  // kEnd: the log is complete (task ended and drained)

struct LogRecord {
  uint64_t seq = 0;     // 0, 1, 2 ... in order of arrival at the shim
  int64_t time_ns = 0;  // wall clock
  Stream stream = Stream::kStdout;
  std::string data;
};

class LogWriter {
 public:
  // dir: an existing empty directory. max_bytes: the oldest segments beyond it are removed
  // (segments of max_bytes / 8).
  LogWriter(UniqueFd dir, int64_t max_bytes);
  // One write(2) a record. A full disk loses output: false is returned, the next successful record
  // has a gap in seq before it.
  bool append(Stream stream, std::string_view data);
  void end();  // appends kEnd
 private:
  UniqueFd dir_, file_;
  int64_t max_bytes_, segment_bytes_ = 0, written_ = 0;
  uint64_t seq_ = 0;
  std::deque<std::pair<uint64_t, int64_t>> segments_;
};

class LogReader {
 public:
  // From the first kept record with seq >= from. dir may be still empty.
  LogReader(UniqueFd dir, uint64_t from = 0);
  // The next whole record, nullopt: nothing more now (a half-written one is not an error). After
  // kEnd always nullopt. Continues over rotated segments.
  std::optional<LogRecord> next();
  bool ended() const { return ended_; }
  int dir() const { return dir_.get(); }  // for inotify: IN_MODIFY|IN_CREATE
 private:
  UniqueFd dir_, file_;
  uint64_t from_, segment_ = 0;
  int64_t offset_ = 0;
  bool ended_ = false, open_ = false;
};

}  // namespace ctrd::api
