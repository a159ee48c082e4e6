// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "api/log_format.h"
#include "base/error.h"
#include "base/files.h"
#include "base/segment_name.h"

namespace ctrd::api {
namespace {

constexpr std::size_t kReadAhead =
    2 * (kLogHeader + kMaxLogData);  // one record is in it, whatever its size

bool is_regular(int fd) {
  struct stat facts {};
  return ::fstat(fd, &facts) == 0 && S_ISREG(facts.st_mode);
}

}  // namespace

LogReader::LogReader(UniqueFd dir, uint64_t from) : dir_(std::move(dir)), from_(from) {}

std::optional<LogRecord> LogReader::next() {
  LogRecord record;
  while (!ended_) {
    if (read(record) != Got::kRecord) {
      // The writer leaves a segment before it makes the next: once that is there, what this one has
      // not got by now it never will.
      auto later = choose_segment();
      if (!later) return std::nullopt;
      if (read(record) != Got::kRecord) {
        open_segment(*later);
        continue;
      }
    }
    ended_ = record.stream == Stream::kEnd;
    if (!ended_ && record.seq >= from_) return record;
  }
  return std::nullopt;
}

LogReader::Got LogReader::read(LogRecord& record) {
  if (!open_) return Got::kNothing;
  if (damaged_) return Got::kDamage;
  Got got = parse(record);
  if (got == Got::kNothing) {
    fill();
    got = parse(record);
  }
  damaged_ = got == Got::kDamage;
  return got;
}

// What is left in the buffer is read anew: the writer may have taken back half a record.
void LogReader::fill() {
  buffer_.resize(kReadAhead);
  buffer_begin_ = 0;
  ssize_t n = 0;
  do n = ::pread(file_.get(), buffer_.data(), buffer_.size(), offset_);
  while (n < 0 && errno == EINTR);
  int err = errno;
  buffer_.resize(static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
  if (n < 0) throw sys_error(err, "reading log segment " + segment_name(segment_));
}

LogReader::Got LogReader::parse(LogRecord& record) {
  std::string_view rest = std::string_view(buffer_).substr(buffer_begin_);
  if (rest.size() < kLogHeader) return Got::kNothing;
  auto header = decode_log_header(rest);
  if (!header || header->seq < segment_ || (last_seq_ && header->seq <= *last_seq_))
    return Got::kDamage;
  std::size_t size = kLogHeader + header->length;
  if (rest.size() < size) return Got::kNothing;
  record = {.seq = header->seq,
            .time_ns = header->time_ns,
            .stream = header->stream,
            .data = std::string(rest.substr(kLogHeader, header->length))};
  last_seq_ = header->seq;
  buffer_begin_ += size;
  offset_ += static_cast<int64_t>(size);
  return Got::kRecord;
}

// At first the newest segment that begins at or before from_, else the oldest; then the next one.
std::optional<uint64_t> LogReader::choose_segment() const {
  std::optional<uint64_t> before, after;
  for (const std::string& name : list_dir(dir_.get())) {
    auto first = parse_segment_name(name);
    if (!first || (open_ && *first <= segment_)) continue;
    bool is_before = !open_ && *first <= from_;
    if (is_before)
      before = std::max(before.value_or(*first), *first);
    else
      after = std::min(after.value_or(*first), *first);
  }
  return before ? before : after;
}

// One that has vanished or is no file counts as damaged.
void LogReader::open_segment(uint64_t first) {
  auto file = find_at(dir_.get(), segment_name(first), O_RDONLY | O_NONBLOCK);
  damaged_ = !file || !is_regular(file->get());
  if (file) file_ = std::move(*file);
  open_ = true;
  segment_ = first;
  offset_ = 0;
  buffer_.clear();
  buffer_begin_ = 0;
}

}  // namespace ctrd::api
