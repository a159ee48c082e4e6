// SPDX-License-Identifier: Apache-2.0
#include "journal/format.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/segment_name.h"

namespace ctrd::journal {
namespace {

using Got = Parsed::Got;

TEST(Format, ARecordAsItIsWritten) {
  EXPECT_EQ(encode_record("123456789"), "\n00000009e3069283123456789\n");
  std::string record = encode_record("hello");
  Parsed parsed = parse_record(record);
  EXPECT_EQ(parsed.got, Got::kRecord);
  EXPECT_EQ(parsed.body, "hello");
  EXPECT_EQ(parsed.size(), record.size());
}

TEST(Format, EveryBeginningOfARecordIsShort) {
  std::string record = encode_record("a body");
  for (std::size_t n = 0; n < record.size(); ++n)
    EXPECT_EQ(parse_record(record.substr(0, n)).got, Got::kShort) << n;
}

TEST(Format, EveryChangedByteIsFoundOut) {
  std::string record = encode_record("a body");
  for (std::size_t i = 0; i < record.size(); ++i) {
    std::string changed = record + record;  // a longer length finds bytes behind it
    changed[i] = static_cast<char>(changed[i] ^ 1);
    EXPECT_NE(parse_record(changed).got, Got::kRecord) << i;
  }
}

TEST(Format, TooLongIsRefusedAndNotBelieved) {
  EXPECT_NO_THROW(encode_record(std::string(kMaxBody, 'x')));
  EXPECT_THROW(encode_record(std::string(kMaxBody + 1, 'x')), Error);
  EXPECT_EQ(parse_record("\nffffffff00000000" + std::string(100, 'x')).got, Got::kBad);
}

TEST(Format, TheNextGoodRecord) {
  std::string garbage = "\n\n0000\n00000003zz\n";
  std::string bytes = garbage + encode_record("good") + "\n";
  EXPECT_EQ(find_record(bytes, 0), garbage.size());
  EXPECT_EQ(find_record(garbage, 0), std::nullopt);
}

TEST(Format, Names) {
  EXPECT_EQ(segment_name(2097152), "00000000000002097152");
  EXPECT_EQ(parse_segment_name("00000000000002097152"), 2097152u);
  for (const char* name :
       {"", "1", "0000000000000209715x", "000000000000002097152", "-0000000000000000001"})
    EXPECT_EQ(parse_segment_name(name), std::nullopt) << name;
}

}  // namespace
}  // namespace ctrd::journal
