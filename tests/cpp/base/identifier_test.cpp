// SPDX-License-Identifier: Apache-2.0
#include "base/identifier.h"

#include <gtest/gtest.h>

#include "temp_dir.h"

namespace ctrd {
namespace {

TEST(IdentifierTest, Good) {
  for (std::string value :
       {"a", "0", "A9", "a.b", "a_b-c.d", "9lives", "web-1", "k8s.io", "UPPER_lower-09"})
    EXPECT_TRUE(is_identifier(value)) << value;
  EXPECT_TRUE(is_identifier(std::string(76, 'x')));
}

TEST(IdentifierTest, Bad) {
  const std::string rows[] = {"",
                              ".",
                              "..",
                              "-",
                              "a/b",
                              "/a",
                              "a/",
                              ".a",
                              "-a",
                              "_a",
                              "a.",
                              "a-",
                              "a_",
                              "a..b",
                              "a-_b",
                              "a b",
                              " a",
                              "a\n",
                              "%s",
                              "a%b",
                              "a:b",
                              "a@b",
                              "a\\b",
                              "\xc3\xa9",
                              "a~",
                              "--help",
                              std::string("a\0b", 3),
                              std::string(77, 'x')};
  for (const auto& value : rows) {
    EXPECT_FALSE(is_identifier(value)) << value;
    Error error = error_of([&] { check_identifier("container.id", value); });
    EXPECT_EQ(error.code(), Code::kInvalidArgument);
    EXPECT_EQ(error.find("field"), "container.id");
    EXPECT_EQ(error.find("value"), escaped(value, 64));
  }
}

TEST(IdentifierTest, CheckPassesGoodOnes) { EXPECT_NO_THROW(check_identifier("id", "web-1")); }

}  // namespace
}  // namespace ctrd
