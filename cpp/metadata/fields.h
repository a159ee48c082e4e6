// SPDX-License-Identifier: Apache-2.0
// How records are read and written: protobuf by protozero, as proto3 does it (a field with its
// default value is left out, an unknown field is skipped). A field of a known number and another
// type counts as unknown: protozero would abort.
#pragma once

#include <cstdint>
#include <map>
#include <protozero/pbf_reader.hpp>
#include <protozero/pbf_writer.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/process.h"

namespace ctrd::metadata {

// The field that a reader stands on. read() takes it if it is this one.
class Field {
 public:
  explicit Field(protozero::pbf_reader& reader) : reader_(reader) {}

  bool read(uint32_t tag, std::string& value);
  bool read(uint32_t tag, uint64_t& value);
  bool read(uint32_t tag, int64_t& value);
  bool read(uint32_t tag, int& value);
  bool read(uint32_t tag, std::map<std::string, std::string>& value);  // adds one entry
  bool read(uint32_t tag, std::vector<std::string>& value);            // adds one
  bool read(uint32_t tag, ProcessKey& value);

 private:
  bool is(uint32_t tag, protozero::pbf_wire_type type) const;
  protozero::pbf_reader& reader_;
};

// kDataLoss: "decode <what>: <why>".
Error damaged(std::string_view what, std::string_view why);

// Calls f(Field) for each field; what f does not take is skipped. Throws damaged(what ...).
template <typename F>
void read_fields(std::string_view bytes, std::string_view what, F f) {
  try {
    protozero::pbf_reader reader(bytes.data(), bytes.size());
    while (reader.next())
      if (!f(Field(reader))) reader.skip();
  } catch (const protozero::exception& error) {
    throw damaged(what, error.what());
  }
}

// A record that is one number.
std::string encode_number(uint64_t n);
uint64_t decode_number(std::string_view bytes);

class FieldWriter {
 public:
  FieldWriter& add(uint32_t tag, std::string_view value);
  FieldWriter& add(uint32_t tag, uint64_t value);
  FieldWriter& add(uint32_t tag, int64_t value);
  FieldWriter& add(uint32_t tag, int value) { return add(tag, int64_t{value}); }
  FieldWriter& add(uint32_t tag, const std::map<std::string, std::string>& value);
  FieldWriter& add(uint32_t tag, const std::vector<std::string>& value);
  FieldWriter& add(uint32_t tag, const ProcessKey& value);
  std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

}  // namespace ctrd::metadata
