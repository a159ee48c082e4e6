// SPDX-License-Identifier: Apache-2.0
#include "engine/log_lines.h"

#include <algorithm>
#include <utility>

namespace ctrd::engine {

void LogLines::emit(int stream, uint64_t seq, int64_t time_ns, bool partial,
                    std::deque<LogLine>* lines) {
  std::string text = std::exchange(begun_[stream - 1].text, {});
  lines->push_back({seq, time_ns, stream, std::move(text), partial});
}

void LogLines::add(const api::LogRecord& record, std::deque<LogLine>* lines) {
  bool ends = record.stream == api::Stream::kEnd;
  if (ends || (last_ && record.seq != *last_ + 1)) finish(lines);
  last_ = record.seq;
  if (ends) return;
  int stream = static_cast<int>(record.stream);
  if (stream != 1 && stream != 2) return;
  const std::string& data = record.data;
  Begun& begun = begun_[stream - 1];
  begun.time_ns = record.time_ns;
  for (std::size_t at = 0; at < data.size();) {
    std::size_t newline = data.find('\n', at);
    std::size_t end = std::min(newline, data.size());
    std::size_t taken = std::min(end - at, kMaxLine - begun.text.size());
    begun.text.append(data, at, taken);
    at += taken;
    uint64_t seq = (record.seq << kOffsetBits) + at;
    if (at == newline) {
      emit(stream, seq, record.time_ns, false, lines);
      ++at;
    } else if (at < end) {
      emit(stream, seq, record.time_ns, true, lines);  // kMaxLine bytes, and more to come
    }
  }
}

// Behind all lines of the last record, and before those of the next.
void LogLines::finish(std::deque<LogLine>* lines) {
  for (int stream : {1, 2}) {
    Begun& begun = begun_[stream - 1];
    uint64_t seq = (last_.value_or(0) << kOffsetBits) + (1u << kOffsetBits) - 3 +
                   static_cast<uint64_t>(stream);
    if (!begun.text.empty()) emit(stream, seq, begun.time_ns, true, lines);
  }
}

}  // namespace ctrd::engine
