// SPDX-License-Identifier: Apache-2.0
#include "journal/writer.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/segment_name.h"
#include "journal/format.h"

namespace ctrd::journal {
namespace {

constexpr Nanos kLookAgain = std::chrono::milliseconds(1);
constexpr Nanos kMoment = std::chrono::microseconds(50);
constexpr int kManyTries = 100;

// Unlocked at its end, so that a copy of the descriptor in a forked child does not keep it.
class Lock {
 public:
  explicit Lock(const Segment& segment) : fd_(segment.fd.get()) {}
  ~Lock() { ::flock(fd_, LOCK_UN); }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

  bool try_shared() { return try_lock(fd_, false); }
  bool try_exclusive() { return try_lock(fd_, true); }

 private:
  int fd_;
};

// Only for the moment in which somebody seals it.
void lock_shared(Lock& lock, const Wait& wait) {
  while (!lock.try_shared()) {
    if (wait.expired()) throw_timeout("append to the journal: its newest segment is locked", wait);
    poll_until({}, wait.within(kLookAgain));
  }
}

// Others share it for microseconds, but may do so one after another.
bool lock_exclusive(Lock& lock, int tries) {
  for (int i = 1; !lock.try_exclusive(); ++i) {
    if (i >= tries) return false;
    poll_until({}, Wait{after(kMoment), {}});
  }
  return true;
}

ssize_t write_once(int fd, std::string_view bytes) {
  ssize_t n = 0;
  do n = ::write(fd, bytes.data(), bytes.size());
  while (n < 0 && errno == EINTR);
  return n;
}

// A record of which only a part fitted counts for nothing, for it has no good sum: it is written
// anew, which works or says why it does not.
void write_whole(int fd, std::string_view bytes) {
  for (int attempt = 0; attempt < 3; ++attempt) {
    ssize_t n = write_once(fd, bytes);
    if (n < 0) throw sys_error("append to the journal");
    if (static_cast<std::size_t>(n) == bytes.size()) return;
  }
  throw sys_error(ENOSPC, "append to the journal");
}

}  // namespace

// The newest by what we know and by what is there, made if there is none.
std::optional<Segment> Writer::open_newest() {
  uint64_t base = base_.load();
  if (base == kUnknown) {
    std::vector<uint64_t> bases = segment_bases(dir_.get());
    base = bases.empty() ? 0 : bases.back();
    if (bases.empty()) return make_segment(dir_.get(), 0);
  }
  return find_segment(dir_.get(), base, O_WRONLY | O_APPEND);
}

// False: it is not the newest, or gone; base_ knows more now.
bool Writer::try_append(const Segment& segment, std::string_view records, const Wait& wait) {
  Lock lock(segment);
  lock_shared(lock, wait);
  SegmentFacts facts = facts_of(segment);
  if (!facts.linked) {
    base_ = kUnknown;
    return false;
  }
  if (facts.sealed) {
    base_ = make_segment(dir_.get(), segment.base + facts.size).base;
    return false;
  }
  base_ = segment.base;
  write_whole(segment.fd.get(), records);
  return true;
}

void Writer::append(std::span<const std::string> bodies, const Wait& wait) {
  std::string records;
  for (const std::string& body : bodies) records += encode_record(body);
  if (records.empty()) return;
  for (;;) {
    auto segment = open_newest();
    if (!segment) {
      base_ = kUnknown;
      continue;
    }
    if (!try_append(*segment, records, wait)) continue;
    if (facts_of(*segment).size >= limits_.segment_bytes) rotate(*segment);
    return;
  }
}

// Other writers are hardly waited for: one that comes later rotates. What fails here fails again,
// and is told, when the next segment is needed.
void Writer::rotate(const Segment& segment) {
  try {
    {
      Lock lock(segment);
      bool pressing = facts_of(segment).size > 2 * limits_.segment_bytes;
      if (!lock_exclusive(lock, pressing ? kManyTries : 1) || facts_of(segment).sealed) return;
      seal(segment);
    }
    base_ = make_segment(dir_.get(), segment.base + facts_of(segment).size).base;
    remove_oldest();
  } catch (const Error& error) {
    log(Level::kWarning, error.message());
  }
}

void Writer::remove_oldest() {
  std::vector<uint64_t> bases = segment_bases(dir_.get());
  uint64_t end = bases.back() + limits_.segment_bytes;
  for (std::size_t i = 0; i + 1 < bases.size() && end - bases[i] > limits_.total_bytes; ++i)
    unlink_at(dir_.get(), segment_name(bases[i]));
}

uint64_t Writer::position() {
  uint64_t base = base_.load();
  if (base != kUnknown)
    if (auto segment = find_segment(dir_.get(), base, O_RDONLY))
      return base + facts_of(*segment).size;
  return extent_of(dir_.get()).end;
}

}  // namespace ctrd::journal
