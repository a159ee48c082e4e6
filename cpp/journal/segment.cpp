// SPDX-License-Identifier: Apache-2.0
#include "journal/segment.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "base/segment_name.h"
#include "journal/format.h"

namespace ctrd::journal {
namespace {

constexpr mode_t kMode = 0600;
constexpr mode_t kSealedMode = S_ISVTX | 0400;

struct stat stat_of(const Segment& segment) {
  struct stat facts {};
  if (::fstat(segment.fd.get(), &facts) < 0)
    throw sys_error("stat journal segment " + segment_name(segment.base));
  return facts;
}

void check_regular(const Segment& segment) {
  if (S_ISREG(stat_of(segment).st_mode)) return;
  throw failed_precondition("journal segment " + segment_name(segment.base) + ": no regular file");
}

}  // namespace

std::vector<uint64_t> segment_bases(int dir) {
  std::vector<uint64_t> bases;
  for (const std::string& name : list_dir(dir))
    if (auto base = parse_segment_name(name)) bases.push_back(*base);
  std::ranges::sort(bases);
  return bases;
}

SegmentFacts facts_of(const Segment& segment) {
  struct stat facts = stat_of(segment);
  return {.size = static_cast<uint64_t>(facts.st_size),
          .sealed = (facts.st_mode & S_ISVTX) != 0,
          .linked = facts.st_nlink > 0};
}

std::optional<Segment> find_segment(int dir, uint64_t base, int flags) {
  auto fd = find_at(dir, segment_name(base), flags | O_NONBLOCK);
  if (!fd) return std::nullopt;
  Segment segment{base, std::move(*fd)};
  check_regular(segment);
  return segment;
}

Segment make_segment(int dir, uint64_t base) {
  constexpr int kFlags = O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK;
  Segment segment{base, open_at(dir, segment_name(base), kFlags, kMode)};
  check_regular(segment);
  return segment;
}

void seal(const Segment& segment) {
  if (::fchmod(segment.fd.get(), kSealedMode) < 0)
    throw sys_error("seal journal segment " + segment_name(segment.base));
}

Extent extent_of(int dir) {
  for (;;) {
    std::vector<uint64_t> bases = segment_bases(dir);
    if (bases.empty()) return {};
    if (auto newest = find_segment(dir, bases.back(), O_RDONLY))
      return {bases.front(), bases.back() + facts_of(*newest).size};
  }
}

}  // namespace ctrd::journal
