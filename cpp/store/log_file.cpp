// SPDX-License-Identifier: Apache-2.0
#include "store/log_file.h"

#include <algorithm>

#include "base/crc32c.h"
#include "base/files.h"

namespace ctrd::store {
namespace {

constexpr std::size_t kBlock = 32u << 10;
constexpr std::size_t kHeader = 7;
constexpr std::size_t kMaxLog = 1u << 30;
enum Piece : unsigned char { kZero = 0, kFull = 1, kFirst = 2, kMiddle = 3, kLast = 4 };

uint64_t fixed(std::string_view bytes, std::size_t size) {
  uint64_t value = 0;
  for (std::size_t i = size; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

uint32_t masked(uint32_t sum) { return ((sum >> 15) | (sum << 17)) + 0xa282ead8u; }

class LogReader {
 public:
  LogReader(std::string_view bytes, const std::function<void(std::string_view)>& f)
      : bytes_(bytes), f_(f) {}

  std::optional<LogDamage> run() {
    while (at_ + kHeader <= bytes_.size() && step()) continue;
    return std::move(damage_);
  }

 private:
  // False: the rest is a record that was being written.
  bool step() {
    const std::size_t left = kBlock - at_ % kBlock;
    if (left < kHeader) return skip(left);
    const std::string_view head = bytes_.substr(at_, kHeader);
    const std::size_t size = fixed(head.substr(4), 2);
    const auto kind = static_cast<unsigned char>(head[6]);
    if (kind == kZero && size == 0 && is_zero(left)) return skip(left);  // allocated, not written
    if (kind < kFull || kind > kLast || kHeader + size > left) {
      note("no record");
      return skip(left);
    }
    if (at_ + kHeader + size > bytes_.size()) return false;
    const std::string_view typed = bytes_.substr(at_ + kHeader - 1, size + 1);
    if (fixed(head, 4) == masked(crc32c(typed)))
      take(static_cast<Piece>(kind), typed.substr(1));
    else
      note("wrong checksum");  // its length may be right: the next one's checksum tells
    return skip(kHeader + size);
  }

  bool skip(std::size_t size) {
    at_ += size;
    return true;
  }
  bool is_zero(std::size_t left) const {
    return bytes_.substr(at_, left).find_first_not_of('\0') == std::string_view::npos;
  }
  void note(const char* why) {
    record_.reset();
    lost_ = true;
    if (!damage_) damage_ = LogDamage{at_, why, true};
  }
  void take(Piece kind, std::string_view piece) {
    const bool begins = kind == kFull || kind == kFirst;
    if (begins && record_) note("a record before it has no end");
    if (!begins && !record_) {
      if (!lost_) note("a piece of a record that does not follow its beginning");
      return;
    }
    if (begins) {
      record_.emplace();
      lost_ = false;
    }
    record_->append(piece);
    if (kind != kFull && kind != kLast) return;
    if (damage_) damage_->is_tail = false;
    f_(*record_);
    record_.reset();
  }

  const std::string_view bytes_;
  const std::function<void(std::string_view)>& f_;
  std::size_t at_ = 0;
  std::optional<std::string> record_;
  std::optional<LogDamage> damage_;
  bool lost_ = false;  // a beginning
};

// Takes what it reads off the front; none: there is not enough.
std::optional<uint64_t> take_varint(std::string_view& bytes) {
  uint64_t value = 0;
  for (int shift = 0; shift < 64 && !bytes.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(bytes[0]);
    bytes.remove_prefix(1);
    value |= uint64_t{byte & 0x7fu} << shift;
    if (byte < 0x80) return value;
  }
  return std::nullopt;
}

std::optional<std::string_view> take_string(std::string_view& bytes) {
  auto size = take_varint(bytes);
  if (!size || *size > bytes.size()) return std::nullopt;
  std::string_view text = bytes.substr(0, *size);
  bytes.remove_prefix(*size);
  return text;
}

}  // namespace

std::optional<LogDamage> read_log(std::string_view bytes,
                                  const std::function<void(std::string_view)>& f) {
  return LogReader(bytes, f).run();
}

bool read_batch(std::string_view record, const std::function<void(const LogChange&)>& f) {
  constexpr std::size_t kBatchHeader = 12;
  if (record.size() < kBatchHeader) return false;
  uint64_t sequence = fixed(record, 8);
  const uint64_t count = fixed(record.substr(8), 4);
  record.remove_prefix(kBatchHeader);
  for (uint64_t i = 0; i < count; ++i, ++sequence) {
    if (record.empty() || record[0] > 1) return false;
    const bool puts = record[0] == 1;
    record.remove_prefix(1);
    auto key = take_string(record);
    auto value = key && puts ? take_string(record) : std::nullopt;
    if (!key || (puts && !value)) return false;
    f({sequence, *key, value});
  }
  return record.empty();
}

bool are_only_torn(int dir) {
  bool any = false, all = true;
  for (const std::string& name : list_dir(dir)) {
    if (!name.ends_with(".log")) continue;
    auto damage = read_log(read_file_at(dir, name, kMaxLog), [](std::string_view) {});
    any |= damage.has_value();
    all &= !damage || damage->is_tail;
  }
  return any && all;
}

}  // namespace ctrd::store
