// SPDX-License-Identifier: Apache-2.0
#include "ttrpc/codec.h"

#include <limits>

namespace ctrd::ttrpc {
namespace {

using protozero::pbf_wire_type;

constexpr int64_t kYearOne = -62135596800;  // seconds: Go's zero time
constexpr int64_t kSecond = 1'000'000'000;

struct BadUtf8 : protozero::exception {
  const char* what() const noexcept override { return "a string is not UTF-8"; }
};

struct Timestamp {
  int64_t seconds = 0;
  int32_t nanos = 0;
};
void fields(auto& v, Is<Timestamp> auto& m) { v(1, m.seconds), v(2, m.nanos); }

struct Entry {
  std::string key, value;
};
void fields(auto& v, Is<Entry> auto& m) { v(1, m.key), v(2, m.value); }

Timestamp to_timestamp(int64_t ns) {
  if (ns == 0) return {.seconds = kYearOne};
  int64_t seconds = ns / kSecond, nanos = ns % kSecond;
  if (nanos < 0) --seconds, nanos += kSecond;  // nanos counts forward, before 1970 too
  return {.seconds = seconds, .nanos = static_cast<int32_t>(nanos)};
}

// Beyond the years that fit in 64 bits of ns (1677 to 2262) it saturates.
int64_t to_ns(const Timestamp& time) {
  if (time.seconds == kYearOne) return 0;
  using Limits = std::numeric_limits<int64_t>;
  __extension__ using Wide = __int128;
  Wide ns = Wide{time.seconds} * kSecond + time.nanos;
  if (ns > Limits::max()) return Limits::max();
  return ns < Limits::min() ? Limits::min() : static_cast<int64_t>(ns);
}

// Bytes of the sequence that begins with this one; 0: none does.
std::size_t utf8_length(unsigned char first) {
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first < 0xE0) return 2;
  if (first >= 0xE0 && first < 0xF0) return 3;
  return first >= 0xF0 && first < 0xF5 ? 4 : 0;
}

// Overlong forms, surrogates and what lies beyond U+10FFFF show in the second byte.
bool second_byte_fits(unsigned char first, unsigned char second) {
  switch (first) {
    case 0xE0:
      return second >= 0xA0;
    case 0xED:
      return second < 0xA0;
    case 0xF0:
      return second >= 0x90;
    case 0xF4:
      return second < 0x90;
    default:
      return true;
  }
}

bool sequence_fits(std::string_view s) {
  auto byte = [&](std::size_t i) { return static_cast<unsigned char>(s[i]); };
  for (std::size_t i = 1; i < s.size(); ++i)
    if ((byte(i) & 0xC0) != 0x80) return false;
  return s.size() < 2 || second_byte_fits(byte(0), byte(1));
}

}  // namespace

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    std::size_t length = utf8_length(static_cast<unsigned char>(text[0]));
    if (length == 0 || length > text.size() || !sequence_fits(text.substr(0, length))) return false;
    text.remove_prefix(length);
  }
  return true;
}

void throw_undecodable(std::string_view name, Code code, std::string_view why) {
  throw Error(code, "decoding " + std::string(name) + ": " + std::string(why))
      .with("message", std::string(name));
}

void FieldWriter::bytes(uint32_t number, const std::string& value) {
  if (!value.empty()) writer_.add_bytes(number, value);
}

void FieldWriter::varint(uint32_t number, uint64_t value) {
  if (value != 0) writer_.add_uint64(number, value);
}

void FieldWriter::operator()(uint32_t number, const std::vector<std::string>& values) {
  for (const std::string& value : values) writer_.add_bytes(number, value);
}

void FieldWriter::operator()(uint32_t number, const std::vector<uint64_t>& values) {
  writer_.add_packed_uint64(number, values.begin(), values.end());
}

void FieldWriter::pair(uint32_t number, const std::string& key, const std::string& value) {
  writer_.add_message(number, encode_message(Entry{key, value}));
}

void FieldWriter::operator()(uint32_t number, const Pairs& pairs) {
  for (const auto& [key, value] : pairs) pair(number, key, value);
}

void FieldWriter::operator()(uint32_t number, const StringMap& map) {
  for (const auto& [key, value] : map) pair(number, key, value);
}

void FieldWriter::time(uint32_t number, int64_t ns) {
  writer_.add_message(number, encode_message(to_timestamp(ns)));
}

bool FieldReader::takes(uint32_t number, pbf_wire_type type) {
  // A known number with another wire type is an unknown field, as in every protobuf.
  if (taken_ || in_.tag() != number || in_.wire_type() != type) return false;
  return taken_ = true;
}

std::string_view FieldReader::view() {
  auto data = in_.get_view();
  return {data.data(), data.size()};
}

std::string FieldReader::utf8() {
  std::string_view data = view();
  if (!is_utf8(data)) throw BadUtf8();
  return std::string(data);
}

void FieldReader::operator()(uint32_t number, std::string& value) {
  if (takes(number, pbf_wire_type::length_delimited)) value = utf8();
}

void FieldReader::bytes(uint32_t number, std::string& value) {
  if (takes(number, pbf_wire_type::length_delimited)) value = view();
}

void FieldReader::operator()(uint32_t number, bool& value) {
  if (takes(number, pbf_wire_type::varint)) value = in_.get_uint64() != 0;
}

void FieldReader::operator()(uint32_t number, std::vector<std::string>& values) {
  if (takes(number, pbf_wire_type::length_delimited)) values.push_back(utf8());
}

void FieldReader::operator()(uint32_t number, std::vector<uint64_t>& values) {
  if (takes(number, pbf_wire_type::varint)) return values.push_back(in_.get_uint64());
  if (!takes(number, pbf_wire_type::length_delimited)) return;
  for (uint64_t value : in_.get_packed_uint64()) values.push_back(value);
}

void FieldReader::operator()(uint32_t number, Pairs& pairs) {
  if (!takes(number, pbf_wire_type::length_delimited)) return;
  Entry entry;
  FieldReader(view()).read(entry);
  pairs.emplace_back(std::move(entry.key), std::move(entry.value));
}

void FieldReader::operator()(uint32_t number, StringMap& map) {
  if (!takes(number, pbf_wire_type::length_delimited)) return;
  Entry entry;
  FieldReader(view()).read(entry);
  map.insert_or_assign(std::move(entry.key), std::move(entry.value));
}

void FieldReader::time(uint32_t number, int64_t& ns) {
  if (!takes(number, pbf_wire_type::length_delimited)) return;
  Timestamp time;
  FieldReader(view()).read(time);
  ns = to_ns(time);
}

}  // namespace ctrd::ttrpc
