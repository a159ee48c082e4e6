// SPDX-License-Identifier: Apache-2.0
#include "journal/reader.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/segment_name.h"
#include "journal/format.h"

namespace ctrd::journal {
namespace {

constexpr std::size_t kChunk = 64 << 10;

Error gone(uint64_t after) {
  return not_found(Kind::kNone,
                   "events: what followed seq " + std::to_string(after) + " is no longer kept")
      .with("field", "since")
      .with("value", std::to_string(after));
}

Error beyond(uint64_t after, uint64_t end) {
  return not_found(Kind::kNone, "events: the journal ends at seq " + std::to_string(end) +
                                    ", before seq " + std::to_string(after))
      .with("field", "since")
      .with("value", std::to_string(after));
}

std::string read_at(const Segment& segment, uint64_t offset, std::size_t most) {
  std::string bytes(most, '\0');
  ssize_t n = 0;
  do n = ::pread(segment.fd.get(), bytes.data(), most, static_cast<off_t>(offset));
  while (n < 0 && errno == EINTR);
  if (n < 0) throw sys_error("read journal segment " + segment_name(segment.base));
  bytes.resize(static_cast<std::size_t>(n));
  return bytes;
}

// Four times as fast as find(): settling 100 killed shims looks through a full journal 200 times.
bool contains(const std::string& bytes, const std::string& id) {
  return ::memmem(bytes.data(), bytes.size(), id.data(), id.size()) != nullptr;
}

// A record begins there, or it is where the next one will.
bool is_boundary(const Segment& segment, uint64_t offset) {
  if (offset == 0) return true;
  std::string around = read_at(segment, offset - 1, 1 + kRecordHeader);
  return around.starts_with('\n') &&
         parse_record(std::string_view(around).substr(1)).got != Parsed::Got::kBad;
}

}  // namespace

Reader::Reader(UniqueFd dir, uint64_t after) : dir_(std::move(dir)), after_(after) {
  Extent kept = extent_of(dir_.get());
  if (after > kept.end) throw beyond(after, kept.end);
  if (after < kept.begin) throw gone(after);
  std::vector<uint64_t> bases = segment_bases(dir_.get());
  auto later = std::ranges::upper_bound(bases, after);
  if (later == bases.begin()) {
    if (!bases.empty()) throw gone(after);
    position_ = after;
    return;
  }
  if (!open_segment(*(later - 1))) throw gone(after);
  // In the middle of a record its segment is read from the beginning: only so is it known where the
  // records are.
  if (is_boundary(*segment_, after - segment_->base)) position_ = after;
}

Reader Reader::near(UniqueFd dir, uint64_t position) {
  Reader reader(std::move(dir));
  std::vector<uint64_t> bases = segment_bases(reader.dir_.get());
  auto later = std::ranges::upper_bound(bases, position);
  if (later != bases.begin() && reader.open_segment(*(later - 1)))
    reader.position_ = position;
  else
    reader.position_ = bases.empty() ? 0 : bases.front();
  return reader;
}

bool Reader::open_segment(uint64_t base) {
  auto segment = find_segment(dir_.get(), base, O_RDONLY);
  if (!segment) return false;
  segment_ = std::move(segment);
  position_ = base;
  buffer_.clear();
  begin_ = 0;
  return true;
}

std::optional<Record> Reader::next() {
  for (;;) {
    if (!segment_ && !open_first()) return std::nullopt;
    while (auto record = next_here())
      if (record->seq > after_) return record;
    if (!go_on()) return std::nullopt;
  }
}

// Of a journal that was empty when we came.
bool Reader::open_first() {
  if (open_segment(position_)) return true;
  std::vector<uint64_t> bases = segment_bases(dir_.get());
  if (!bases.empty() && bases.front() > position_) throw gone(position_);
  return false;
}

// False: the segment has no more bytes than that now.
bool Reader::fill(std::size_t least) {
  if (buffer_.size() - begin_ >= least) return true;
  if (begin_ > 1) buffer_.erase(0, std::exchange(begin_, 1) - 1);  // one byte is kept: see shared()
  std::size_t there = buffer_.size() - begin_;
  buffer_ +=
      read_at(*segment_, position_ - segment_->base + there, std::max(kChunk, least - there));
  return buffer_.size() - begin_ >= least;
}

void Reader::skip(std::size_t bytes) {
  skipped_bytes_ += bytes;
  if (!std::exchange(in_damage_, true)) ++skipped_places_;
  begin_ += bytes;
  position_ += bytes;
}

// A record that lacks nothing but its last byte, torn there, has taken the first one of the next.
bool Reader::shared() {
  if (begin_ == 0 || buffer_[begin_ - 1] != '\n') return false;
  std::string_view rest = std::string_view(buffer_).substr(begin_ - 1);
  if (parse_record(rest).got == Parsed::Got::kBad) return false;
  --begin_;
  --position_;
  return true;
}

// What is short may be on its way, unless a whole record stands behind it already.
std::optional<Record> Reader::next_here() {
  using Got = Parsed::Got;
  constexpr std::size_t kMost = kMaxBody + kRecordFrame;
  fill(kRecordHeader);
  for (;;) {
    std::string_view rest = std::string_view(buffer_).substr(begin_);
    Parsed parsed = parse_record(rest);
    if (parsed.got == Got::kRecord) {
      Record record{position_ + parsed.size(), std::string(parsed.body)};
      begin_ += parsed.size();
      position_ = record.seq;
      in_damage_ = false;
      return record;
    }
    if (parsed.got == Got::kShort && rest.size() < kMost) {
      if (fill(rest.size() + 1)) continue;
      rest = std::string_view(buffer_).substr(begin_);
    }
    if (rest.empty()) return std::nullopt;
    if (parsed.got == Got::kBad && !in_damage_ && shared()) continue;
    auto good = find_record(rest, 1);
    if (!good && parsed.got == Got::kShort) return std::nullopt;
    // The end of what is there may be the beginning of a record.
    std::size_t tail = rest.rfind('\n');
    std::size_t bad =
        good ? *good : std::max<std::size_t>(tail == rest.npos ? rest.size() : tail, 1);
    skip(bad);
    if (!good && !fill(kRecordHeader) && begin_ == buffer_.size()) return std::nullopt;
  }
}

// To the next segment, once this one is sealed and read to its end.
bool Reader::go_on() {
  SegmentFacts facts = facts_of(*segment_);
  if (!facts.sealed) return false;
  uint64_t end = segment_->base + facts.size;
  if (position_ + (buffer_.size() - begin_) < end) return true;  // it grew since we read it
  if (position_ < end) skip(static_cast<std::size_t>(end - position_));
  if (open_segment(end)) return true;
  std::vector<uint64_t> bases = segment_bases(dir_.get());
  if (std::ranges::binary_search(bases, end)) return true;  // it has just been made
  if (!bases.empty() && bases.back() > end) throw gone(position_);
  return false;
}

std::vector<bool> mentioned(int dir, const std::vector<std::string>& ids, uint64_t from) {
  std::vector<bool> found(ids.size(), false);
  std::size_t longest = 0;
  for (const std::string& id : ids) longest = std::max(longest, id.size());
  for (uint64_t base : segment_bases(dir)) {
    auto segment = find_segment(dir, base, O_RDONLY);
    if (!segment || base + facts_of(*segment).size <= from) continue;
    uint64_t offset = from > base ? from - base : 0;
    std::string bytes;
    for (std::string more; !(more = read_at(*segment, offset, kChunk)).empty();) {
      offset += more.size();
      bytes.erase(0, bytes.size() - std::min(bytes.size(), longest));
      bytes += more;
      for (std::size_t i = 0; i < ids.size(); ++i)
        if (!found[i]) found[i] = contains(bytes, ids[i]);
    }
  }
  return found;
}

}  // namespace ctrd::journal
