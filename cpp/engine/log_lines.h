// SPDX-License-Identifier: Apache-2.0
// From chunks, as the shim read them, to lines, each stream on its own. A line's seq is where it
// ended: record << 17 + offset, so it rises.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "api/frame_log.h"
#include "engine/values.h"

namespace ctrd::engine {

inline constexpr int kOffsetBits = 17;  // a chunk has at most 2^16 bytes
inline constexpr std::size_t kMaxLine = 64 << 10;

class LogLines {
 public:
  // Appends the lines that this record completes. A gap in the records' numbers ends what was begun
  // before it.
  void add(const api::LogRecord& record, std::deque<LogLine>* lines);
  // What has no newline yet, as partial lines.
  void finish(std::deque<LogLine>* lines);

 private:
  struct Begun {
    std::string text;
    int64_t time_ns = 0;
  };
  void emit(int stream, uint64_t seq, int64_t time_ns, bool partial, std::deque<LogLine>* lines);

  Begun begun_[2];
  std::optional<uint64_t> last_;
};

}  // namespace ctrd::engine
