// SPDX-License-Identifier: Apache-2.0
#include "oci/rename.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "oci/spec.h"

namespace ctrd::oci {
namespace {

struct Row {
  const char* what;
  std::string stored;  // hostname, "" for none
  NewNames names;
  std::string wanted;
};

std::string spec_of(const std::string& hostname) {
  std::string name = hostname.empty() ? "" : R"("hostname":")" + hostname + R"(",)";
  return R"({"ociVersion":"1.0.2",)" + name + R"("process":{"args":["a"]},"linux":{}})";
}

TEST(RenamedSpec, Names) {
  const std::string longest(76, 'x');
  const Row rows[] = {
      {"the old id's becomes the new one's", "one", {"one", "two", "/c/two"}, "two"},
      {"another one stays", "web", {"one", "two", "/c/two"}, "web"},
      {"none stays none", "", {"one", "two", "/c/two"}, ""},
      {"an id is longer than a hostname may be",
       "one",
       {"one", longest, "/c"},
       longest.substr(0, 63)},
      {"and was", longest.substr(0, 63), {longest, "two", "/c"}, "two"},
      {"as it is told", "one", {"one", "two", "/c", "other"}, "other"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.what);
    SpecFacts facts = spec_facts(renamed_spec(spec_of(row.stored), row.names));
    EXPECT_EQ(facts.hostname, row.wanted);
    EXPECT_EQ(facts.cgroups_path, row.names.cgroups_path);
  }
}

TEST(RenamedSpec, AHostnameThatIsNone) {
  for (const std::string& bad : {std::string(65, 'x'), std::string("a b")})
    EXPECT_THROW(renamed_spec(spec_of("one"), {"one", "two", "/c", bad}), Error) << bad;
}

}  // namespace
}  // namespace ctrd::oci
