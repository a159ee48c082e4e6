// SPDX-License-Identifier: Apache-2.0
// A protobuf message described once: `fields(visitor, message)` names each field's number and
// member, and FieldWriter and FieldReader are the two visitors. proto3's rules: defaults are not
// written, unknown fields are skipped, the last scalar wins, a message met twice is merged, a
// string must be UTF-8. Nothing here recurses deeper than the messages do.
//
//   void fields(auto& v, Is<Point> auto& m) { v(1, m.x), v(2, m.label), v.bytes(3, m.blob),
//   v.time(4, m.when_ns); }
#pragma once

#include <concepts>
#include <cstdint>
#include <map>
#include <protozero/pbf_reader.hpp>
#include <protozero/pbf_writer.hpp>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/error.h"

namespace ctrd::ttrpc {

// "T or const T": so that one fields() serves reading and writing.
template <typename M, typename T>
concept Is = std::same_as<std::remove_const_t<M>, T>;

using Pairs =
    std::vector<std::pair<std::string, std::string>>;  // repeated {1 key, 2 value}, in order
using StringMap = std::map<std::string, std::string>;

class FieldWriter;
class FieldReader;
template <typename T>
concept Message = std::is_class_v<T> && requires(FieldReader& v, T& m) {
  fields(v, m);
};

// Writes what differs from the default.
class FieldWriter {
 public:
  explicit FieldWriter(std::string& out) : writer_(out) {}

  void operator()(uint32_t number, const std::string& value) { bytes(number, value); }
  void operator()(uint32_t number, uint32_t value) { varint(number, value); }
  void operator()(uint32_t number, uint64_t value) { varint(number, value); }
  void operator()(uint32_t number, int32_t value) {
    varint(number, static_cast<uint64_t>(int64_t{value}));
  }
  void operator()(uint32_t number, int64_t value) { varint(number, static_cast<uint64_t>(value)); }
  void operator()(uint32_t number, bool value) { varint(number, value ? 1 : 0); }
  template <typename E>
  requires std::is_enum_v<E>
  void operator()(uint32_t number, E value) { (*this)(number, static_cast<int32_t>(value)); }
  void operator()(uint32_t number, const std::vector<std::string>& values);
  void operator()(uint32_t number, const std::vector<uint64_t>& values);  // packed
  void operator()(uint32_t number, const Pairs& pairs);
  void operator()(uint32_t number, const StringMap& map);
  template <Message T>
  void operator()(uint32_t number, const T& message) {
    std::string body = encoded(message);
    if (!body.empty()) writer_.add_message(number, body);
  }
  // Written even when it is empty: its readers look into it without asking whether it is there.
  template <Message T>
  void present(uint32_t number, const T& message) {
    writer_.add_message(number, encoded(message));
  }
  template <Message T>
  void operator()(uint32_t number, const std::vector<T>& messages) {
    for (const T& message : messages) writer_.add_message(number, encoded(message));
  }
  void bytes(uint32_t number, const std::string& value);
  // An `optional` field: written even when 0, because its default is another value.
  void always(uint32_t number, int64_t value) { writer_.add_int64(number, value); }
  // google.protobuf.Timestamp of ns since 1970; 0, "not yet", is the year 1 as Go sends it. Always
  // written.
  void time(uint32_t number, int64_t ns);

 private:
  template <Message T>
  static std::string encoded(const T& message) {
    std::string body;
    FieldWriter writer(body);
    fields(writer, message);
    return body;
  }
  void varint(uint32_t number, uint64_t value);
  void pair(uint32_t number, const std::string& key, const std::string& value);

  protozero::pbf_writer writer_;
};

// Visits with one field that was met: the member of that number and type takes it.
class FieldReader {
 public:
  explicit FieldReader(std::string_view data) : in_(data.data(), data.size()) {}

  template <typename T>
  void read(T& message) {
    while (in_.next()) {
      taken_ = false;
      fields(*this, message);
      if (!taken_) in_.skip();
    }
  }

  void operator()(uint32_t number, std::string& value);
  void operator()(uint32_t number, uint32_t& value) { varint(number, value); }
  void operator()(uint32_t number, uint64_t& value) { varint(number, value); }
  void operator()(uint32_t number, int32_t& value) { varint(number, value); }
  void operator()(uint32_t number, int64_t& value) { varint(number, value); }
  void operator()(uint32_t number, bool& value);
  template <typename E>
  requires std::is_enum_v<E>
  void operator()(uint32_t number, E& value) {
    int32_t raw = static_cast<int32_t>(value);
    varint(number, raw);
    value = static_cast<E>(raw);
  }
  void operator()(uint32_t number, std::vector<std::string>& values);
  void operator()(uint32_t number, std::vector<uint64_t>& values);  // packed or not
  void operator()(uint32_t number, Pairs& pairs);
  void operator()(uint32_t number, StringMap& map);
  template <Message T>
  void operator()(uint32_t number, T& message) {
    if (takes(number, protozero::pbf_wire_type::length_delimited))
      FieldReader(view()).read(message);
  }
  template <Message T>
  void operator()(uint32_t number, std::vector<T>& messages) {
    if (takes(number, protozero::pbf_wire_type::length_delimited))
      FieldReader(view()).read(messages.emplace_back());
  }
  template <Message T>
  void present(uint32_t number, T& message) {
    (*this)(number, message);
  }
  void bytes(uint32_t number, std::string& value);
  void always(uint32_t number, int64_t& value) { varint(number, value); }
  void time(uint32_t number, int64_t& ns);

 private:
  bool takes(uint32_t number, protozero::pbf_wire_type type);
  std::string_view view();
  std::string utf8();
  template <typename T>
  void varint(uint32_t number, T& value) {
    if (takes(number, protozero::pbf_wire_type::varint)) value = static_cast<T>(in_.get_uint64());
  }

  protozero::pbf_reader in_;
  bool taken_ = false;
};

template <typename T>
std::string encode_message(const T& message) {
  std::string out;
  FieldWriter writer(out);
  fields(writer, message);
  return out;
}

// `name` and `code` are for the Error when the bytes are no such message.
[[noreturn]] void throw_undecodable(std::string_view name, Code code, std::string_view why);

template <typename T>
T decode_message(std::string_view bytes, std::string_view name, Code code) {
  try {
    T message;
    FieldReader(bytes).read(message);
    return message;
  } catch (const protozero::exception& e) {
    throw_undecodable(name, code, e.what());
  }
}

bool is_utf8(std::string_view text);

}  // namespace ctrd::ttrpc
