// SPDX-License-Identifier: Apache-2.0
#include "metadata/fields.h"

namespace ctrd::metadata {
namespace {

using protozero::pbf_wire_type;

std::string_view view(const protozero::data_view& data) { return {data.data(), data.size()}; }

}  // namespace

Error damaged(std::string_view what, std::string_view why) {
  return Error(Code::kDataLoss, "decode " + std::string(what) + ": " + std::string(why));
}

bool Field::is(uint32_t tag, pbf_wire_type type) const {
  return reader_.tag_and_type() == protozero::tag_and_type(tag, type);
}

bool Field::read(uint32_t tag, std::string& value) {
  if (!is(tag, pbf_wire_type::length_delimited)) return false;
  value = view(reader_.get_view());
  return true;
}

bool Field::read(uint32_t tag, uint64_t& value) {
  if (!is(tag, pbf_wire_type::varint)) return false;
  value = reader_.get_uint64();
  return true;
}

bool Field::read(uint32_t tag, int64_t& value) {
  if (!is(tag, pbf_wire_type::varint)) return false;
  value = reader_.get_int64();
  return true;
}

bool Field::read(uint32_t tag, int& value) {
  if (!is(tag, pbf_wire_type::varint)) return false;
  value = reader_.get_int32();
  return true;
}

bool Field::read(uint32_t tag, std::map<std::string, std::string>& value) {
  if (!is(tag, pbf_wire_type::length_delimited)) return false;
  std::string key;
  std::string entry;
  read_fields(view(reader_.get_view()), "map entry",
              [&](Field field) { return field.read(1, key) || field.read(2, entry); });
  value[std::move(key)] = std::move(entry);
  return true;
}

bool Field::read(uint32_t tag, std::vector<std::string>& value) {
  std::string one;
  if (!read(tag, one)) return false;
  value.push_back(std::move(one));
  return true;
}

bool Field::read(uint32_t tag, ProcessKey& value) {
  if (!is(tag, pbf_wire_type::length_delimited)) return false;
  read_fields(view(reader_.get_view()), "process", [&](Field field) {
    return field.read(1, value.pid) || field.read(2, value.start) || field.read(3, value.boot);
  });
  return true;
}

std::string encode_number(uint64_t n) { return FieldWriter().add(1, n).take(); }

uint64_t decode_number(std::string_view bytes) {
  uint64_t n = 0;
  read_fields(bytes, "number", [&](Field field) { return field.read(1, n); });
  return n;
}

FieldWriter& FieldWriter::add(uint32_t tag, std::string_view value) {
  if (!value.empty())
    protozero::pbf_writer(bytes_).add_bytes(tag, protozero::data_view(value.data(), value.size()));
  return *this;
}

FieldWriter& FieldWriter::add(uint32_t tag, uint64_t value) {
  if (value) protozero::pbf_writer(bytes_).add_uint64(tag, value);
  return *this;
}

FieldWriter& FieldWriter::add(uint32_t tag, int64_t value) {
  if (value) protozero::pbf_writer(bytes_).add_int64(tag, value);
  return *this;
}

FieldWriter& FieldWriter::add(uint32_t tag, const std::map<std::string, std::string>& value) {
  for (const auto& [key, entry] : value) {
    std::string bytes = FieldWriter().add(1, key).add(2, entry).take();
    protozero::pbf_writer(bytes_).add_message(tag, bytes);
  }
  return *this;
}

FieldWriter& FieldWriter::add(uint32_t tag, const std::vector<std::string>& value) {
  for (const std::string& one : value) add(tag, one);
  return *this;
}

FieldWriter& FieldWriter::add(uint32_t tag, const ProcessKey& value) {
  return add(tag, FieldWriter().add(1, value.pid).add(2, value.start).add(3, value.boot).take());
}

}  // namespace ctrd::metadata
