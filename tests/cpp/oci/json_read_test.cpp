// SPDX-License-Identifier: Apache-2.0
#include "oci/json_read.h"

#include <gtest/gtest.h>

#include "oci/scratch.h"

namespace ctrd::oci {
namespace {

const Json kJson = Json::parse(
    R"({"o":{"n":1},"a":[1,"x"],"s":"t","nul":"a\u0000b","i":-5,"big":18446744073709551615,"f":1.5,"none":null})");
const Member kSpec{&kJson, "spec"};

TEST(JsonRead, members) {
  EXPECT_EQ(find_int(find_object(kSpec, "o"), "n"), 1);
  EXPECT_EQ(find_array(kSpec, "a").at(1).path, "spec.a[1]");
  EXPECT_EQ(string_of(find_array(kSpec, "a").at(1)), "x");
  EXPECT_EQ(find_string(kSpec, "s"), "t");
  EXPECT_EQ(need_string(kSpec, "s"), "t");
  EXPECT_EQ(find_int(kSpec, "i"), -5);
}

TEST(JsonRead, missing_and_null_are_one) {
  for (const char* name : {"none", "nope"}) {
    EXPECT_FALSE(find_object(kSpec, name));
    EXPECT_TRUE(find_array(kSpec, name).empty());
    EXPECT_EQ(find_string(kSpec, name), std::nullopt);
    EXPECT_EQ(find_int(find_object(kSpec, name), "deeper"), std::nullopt);
    EXPECT_EQ(error_of([&] { need_string(kSpec, name); }).find("field"),
              std::string("spec.") + name);
  }
}

TEST(JsonRead, wrong_types_name_their_path) {
  auto field = [](auto f) { return std::string(error_of(f).find("field")); };
  EXPECT_EQ(field([] { find_object(kSpec, "s"); }), "spec.s");
  EXPECT_EQ(field([] { find_array(kSpec, "o"); }), "spec.o");
  EXPECT_EQ(field([] { find_string(kSpec, "i"); }), "spec.i");
  EXPECT_EQ(field([] { find_string(kSpec, "nul"); }), "spec.nul");
  EXPECT_EQ(field([] { find_int(kSpec, "f"); }), "spec.f");
  EXPECT_EQ(field([] { find_int(kSpec, "big"); }), "spec.big");
  EXPECT_EQ(field([] { string_of(find_array(kSpec, "a").at(0)); }), "spec.a[0]");
}

}  // namespace
}  // namespace ctrd::oci
