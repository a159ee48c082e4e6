// SPDX-License-Identifier: Apache-2.0
#include "oci/json.h"

#include <gtest/gtest.h>

#include "oci/scratch.h"

namespace ctrd::oci {
namespace {

Error refused(const std::string& text) {
  return error_of([&] { parse_json(text, "spec"); });
}

TEST(ParseJson, good_values) {
  EXPECT_EQ(parse_json(R"({"a":[1,-2,1.5,true,null,"x",{"b":{}}]})", "spec").dump(),
            R"({"a":[1,-2,1.5,true,null,"x",{"b":{}}]})");
  EXPECT_TRUE(parse_json(" null ", "spec").is_null());
  EXPECT_EQ(parse_json("18446744073709551615", "spec").get<uint64_t>(), ~0ull);
}

TEST(ParseJson, bad_texts) {
  const std::string kBad[] = {"",       "{",     "{} x",     "[1,]",      "{\"a\":1,}",  "nul",
                              "'a'",    "1e400", "NaN",      "{\"a\" 1}", "\"\\ud800\"", "\"\xff\"",
                              "[1 2]",  "\x01",  "{\"a\":1", "{1:2}",     "\"\n\"",      "01",
                              "/**/{}", "-"};
  for (const std::string& text : kBad) {
    Error error = refused(text);
    EXPECT_EQ(error.code(), Code::kInvalidArgument) << text;
    EXPECT_EQ(error.find("field"), "spec") << text;
  }
}

TEST(ParseJson, duplicate_keys) {
  EXPECT_EQ(refused(R"({"a":1,"b":{"c":1,"c":2}})").find("value"), "c");
  EXPECT_NO_THROW(parse_json(R"([{"a":1},{"a":1},{"b":{"a":1},"a":1}])", "spec"));
}

TEST(ParseJson, depth) {
  auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_NO_THROW(parse_json(nested(64), "spec"));
  EXPECT_EQ(refused(nested(65)).code(), Code::kInvalidArgument);
  EXPECT_EQ(refused(std::string(100000, '[')).code(), Code::kInvalidArgument);
  std::string objects;
  for (int i = 0; i < 100000; ++i) objects += "{\"a\":";
  EXPECT_EQ(refused(objects).code(), Code::kInvalidArgument);
}

TEST(ParseJson, size) {
  std::string text = "\"" + std::string(kMaxSpec, 'x') + "\"";
  EXPECT_EQ(refused(text).code(), Code::kResourceExhausted);
  EXPECT_NO_THROW(parse_json(text, "spec", text.size()));
}

TEST(DumpJson, refuses_what_is_not_utf8) {
  EXPECT_EQ(dump_json({{"b", 1}, {"a", "\xc3\xa9"}}, "spec"), "{\"a\":\"\xc3\xa9\",\"b\":1}");
  Error error = error_of([] { dump_json(Json("\xff"), "spec"); });
  EXPECT_EQ(error.code(), Code::kInvalidArgument);
  EXPECT_EQ(error.find("field"), "spec");
  EXPECT_TRUE(is_utf8("\xc3\xa9"));
  EXPECT_FALSE(is_utf8("\xc3"));
}

}  // namespace
}  // namespace ctrd::oci
