// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "api/log_format.h"
#include "base/error.h"
#include "base/files.h"
#include "base/segment_name.h"
#include "base/time.h"

namespace ctrd::api {
namespace {

constexpr int64_t kSegments = 8;
constexpr int64_t kMinSegment = 4096;

iovec part(std::string_view bytes) {
  return {.iov_base = const_cast<char*>(bytes.data()), .iov_len = bytes.size()};
}

void drop(std::string_view& bytes, std::size_t& n) {
  std::size_t dropped = std::min(n, bytes.size());
  bytes.remove_prefix(dropped);
  n -= dropped;
}

// One write, unless the disk takes only a part; then the next one tells why. Returns errno, or 0.
int write_both(int fd, std::string_view header, std::string_view data) {
  while (!header.empty() || !data.empty()) {
    iovec parts[] = {part(header), part(data)};
    ssize_t n = ::writev(fd, parts, 2);
    if (n < 0 && errno != EINTR) return errno;
    auto written = static_cast<std::size_t>(std::max<ssize_t>(n, 0));
    drop(header, written);
    drop(data, written);
  }
  return 0;
}

}  // namespace

LogWriter::LogWriter(UniqueFd dir, int64_t max_bytes)
    : dir_(std::move(dir)),
      max_bytes_(std::max<int64_t>(max_bytes, 0)),
      segment_bytes_(std::max(max_bytes_ / kSegments, kMinSegment)) {}

bool LogWriter::append(Stream stream, std::string_view data) {
  bool whole = true;
  while (!data.empty() && !ended_) {
    std::string_view chunk = data.substr(0, kMaxLogData);
    if (!append_record(stream, chunk)) whole = false;
    data.remove_prefix(chunk.size());
  }
  return whole && data.empty();
}

void LogWriter::end() {
  if (std::exchange(ended_, true) || append_record(Stream::kEnd, {})) return;
  // The blocks of the last record are there already: its place has room for the 24 bytes.
  if (!file_ || written_ == 0 || ::ftruncate(file_.get(), last_) < 0) return;
  total_ -= written_ - last_;
  written_ = last_;
  auto header =
      encode_log_header({.length = 0, .stream = Stream::kEnd, .seq = seq_++, .time_ns = wall_ns()});
  write_record({header.data(), header.size()}, {});
}

bool LogWriter::append_record(Stream stream, std::string_view data) {
  uint64_t seq = seq_++;
  if (!make_room(stream == Stream::kEnd ? 0 : kLogHeader + data.size())) return false;
  auto header = encode_log_header({.length = static_cast<uint32_t>(data.size()),
                                   .stream = stream,
                                   .seq = seq,
                                   .time_ns = wall_ns()});
  return write_record({header.data(), header.size()}, data);
}

// The newest segment is open and takes `size` bytes more. kEnd never asks for another.
bool LogWriter::make_room(std::size_t size) {
  bool fits = written_ == 0 || written_ + static_cast<int64_t>(size) <= segment_bytes_;
  bool ready = (file_ && fits && !full_) || open_segment();
  remove_oldest(size);
  return ready;
}

void LogWriter::remove_oldest(std::size_t coming) {
  while (!segments_.empty() && total_ + static_cast<int64_t>(coming) > max_bytes_) {
    ::unlinkat(dir_.get(), segment_name(segments_.front().first).c_str(), 0);
    total_ -= segments_.front().second;
    segments_.pop_front();
  }
}

// Named by the record that is about to be written. On failure the one before stays open.
bool LogWriter::open_segment() {
  uint64_t first = seq_ - 1;
  UniqueFd file(::openat(dir_.get(), segment_name(first).c_str(),
                         O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file) return false;
  if (file_) segments_.emplace_back(segment_, written_);
  file_ = std::move(file);
  segment_ = first;
  written_ = last_ = 0;
  full_ = false;
  return true;
}

// A record of which only a part fits is taken back, so that what follows it can be read.
bool LogWriter::write_record(std::string_view header, std::string_view data) {
  int error = write_both(file_.get(), header, data);
  if (error == 0) {
    last_ = written_;
    written_ += static_cast<int64_t>(header.size() + data.size());
    total_ += written_ - last_;
    return true;
  }
  // Beyond RLIMIT_FSIZE only another file helps; and so it does should this one keep the half.
  full_ = ::ftruncate(file_.get(), written_) < 0 || error == EFBIG;
  return false;
}

}  // namespace ctrd::api
