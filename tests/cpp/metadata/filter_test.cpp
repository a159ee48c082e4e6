// SPDX-License-Identifier: Apache-2.0
// The language, row by row. What containerd's own parser takes and refuses: pkg/filters.
#include "metadata/filter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "metadata/adaptors.h"

namespace ctrd::metadata {
namespace {

using testing::HasSubstr;

Container web() {
  Container record;
  record.id = "web";
  record.image = "docker.io/library/nginx:1.25";
  record.runtime_name = "io.containerd.ctrd.v2";
  record.labels = {
      {"env", "ci"}, {"a.b/c", "v"},  {"quoted", "a,\"b\" c"}, {"n1", "ünïcode"},
      {"x_y", "1"},  {"tab", "a\tb"}, {"path", "/a/b|c"},      {"deep.er.key", "found"}};
  return record;
}

bool matches(const std::vector<std::string>& filters, const Container& record = web()) {
  return Filter(filters).matches([&](const FieldPath& path) { return find_field(record, path); });
}

TEST(Filter, WhatMatches) {
  for (const char* filter : {
           "",
           "id",
           "image",
           "runtime.name",
           "labels.env",
           "id==web",
           "id!=db",
           "id~=^we",
           "id~=e",
           "image==docker.io/library/nginx:1.25",
           "image~=/nginx:1\\\\./",
           "image~=|library/n|",
           "image~=nginx:1\\.25$",
           "image~=\"nginx\"",
           "runtime.name==io.containerd.ctrd.v2",
           "labels.env==ci",
           "labels.env==\"ci\"",
           "labels.\"env\"==ci",
           "\"labels\".env==ci",
           "labels.\"a.b/c\"==v",
           "labels.a.\"b/c\"==v",
           "labels.\"a.b/c\"",
           "labels.deep.er.key==found",
           "labels.deep.\"er.key\"==found",
           "labels.x_y==1",
           "labels.n1==ünïcode",
           "labels.n1==\"\\u00fcn\\u00EFcode\"",
           "labels.n1==\"\\303\\274n\\xc3\\xafcode\"",
           "labels.n1~=^.n.code$",
           "labels.quoted==\"a,\\\"b\\\" c\"",
           "labels.tab==\"a\\tb\"",
           "labels.tab==\"a\\011b\"",
           "labels.path==\"/a/b|c\"",
           "labels.path~=/\\/a\\/b/",
           "labels.path~=|b\\\\\\|c|",
           "labels.absent!=x",
           "labels.absent~=^$",
           "labels.absent~=\".*\"",
           "nothing!=x",
           "labels!=x",
           "runtime!=x",
           "runtime.options!=x",
           "id==web,labels.env==ci",
           "id==web,labels.env,labels.absent!=x",
           " id==web",
           "id ==web",
           "id== web",
           "id == \"web\"",
           "id==web, labels. env==ci",
           "image~=/a,b|nginx/",
           "id~=(web|db)",
           "id~=[a-z]{3}",
           "id~=(?i)WEB",
           "id!=\"\"",
           "labels.env==\"\\x63i\"",
           "id~=\"\\\\Aw\"",
       })
    EXPECT_TRUE(matches({filter})) << filter;
}

TEST(Filter, WhatDoesNot) {
  for (const char* filter : {
           "labels.absent",
           "labels.absent==x",
           "labels.absent==\"\"",
           "labels.absent!=\"\"",
           "labels.absent~=x",
           "nothing",
           "nothing==x",
           "labels",
           "labels.\"\"",
           "runtime",
           "runtime.options",
           "runtime.name.x.y==z",
           "id.x.y.z~=q",
           "id==we",
           "id==WEB",
           "id!=web",
           "id~=^e",
           "id~=b$,id==db",
           "labels.env==ci,id==db",
           "labels.a.b==v",
           "Labels.env",
           "labels.tab==\"a\\\\tb\"",
           "image==\"docker.io/library/nginx:1.25 \"",
       })
    EXPECT_FALSE(matches({filter})) << filter;
  Container bare;
  bare.id = "bare";
  for (const char* filter : {"image", "image==\"\"", "runtime.name", "labels.env"})
    EXPECT_FALSE(matches({filter}, bare)) << filter;
}

TEST(Filter, SeveralAreOrAndNoneMatchesAll) {
  EXPECT_TRUE(matches({"id==db", "id==web"}));
  EXPECT_TRUE(matches({"id==web", "id==db"}));
  EXPECT_FALSE(matches({"id==db", "id==x"}));
  EXPECT_TRUE(matches({"id==db", ""}));
  EXPECT_TRUE(matches({}));
  EXPECT_TRUE(Filter().matches([](const FieldPath&) { return std::optional<std::string>(); }));
}

TEST(Filter, TopicsNeedNoQuotes) {
  auto is = [](const char* filter, const char* topic) {
    return Filter({filter}).matches([&](const FieldPath& path) {
      return path.text() == "topic" ? std::optional<std::string>(topic) : std::nullopt;
    });
  };
  for (const char* filter : {"topic==/tasks/exit", "topic!=/tasks/start", "topic~=/tasks/.*",
                             "topic~=/tasks/exit", "topic~=/exit$", "topic~=/exit/",
                             "topic~=/tasks/exit,topic~=/x/", "topic==\"/tasks/exit\""})
    EXPECT_TRUE(is(filter, "/tasks/exit")) << filter;
  EXPECT_FALSE(is("topic~=/tasks/", "/task"));
  EXPECT_TRUE(is("topic~=/tasks/", "tasks"));  // a quoted pattern, as containerd reads it
}

// The message marks the place; .position says where it begins.
TEST(Filter, WhatIsNoFilter) {
  struct {
    const char* filter;
    const char* position;
    const char* marked;
  } rows[] = {
      {",", "0", "[>|,|<]"},
      {"id==a,", "6", "[id==a,>||<]"},
      {"id=a", "2", "[id>|=|<a]"},
      {"id===a", "2", "[id>|===|<a]"},
      {"id=!a", "2", "[id>|=!|<a]"},
      {"id<a", "2", "[id>|<|<a]"},
      {"id>a", "2", "[id>|>|<a]"},
      {"id a", "3", "[id >|a|<]"},
      {"id ", "3", "[id >||<]"},
      {"id==", "4", "[id==>||<]"},
      {"id!=", "4", "[id!=>||<]"},
      {"id~=", "4", "[id~=>||<]"},
      {"id==,", "4", "[id==>|,|<]"},
      {"id==.a", "4", "[id==>|.|<a]"},
      {"id== =a", "5", "[id== >|=|<a]"},
      {"id==/a/", "4", "[id==>|/|<a/]"},
      {"id!=|a|", "4", "[id!=>|||<a|]"},
      {"id==a b", "5", "[id==a>| |<b]"},
      {"id==a ,id", "5", "[id==a>| |<,id]"},
      {"id==\"a", "4", "[id==>|\"a|<]"},
      {"id==\"a\"b", "7", "[id==\"a\">|b|<]"},
      {"id==\"a\nb\"", "4", "[id==>|\"a|<\\x0ab\"]"},
      {"id~=/a", "4", "[id~=>|/a|<]"},
      {"id~=/a/b", "7", "[id~=/a/>|b|<]"},
      {"id~=|a", "4", "[id~=>||a|<]"},
      {"id==\"\\d\"", "5", "[id==\">|\\d|<\"]"},
      {"id~=/\\d+/", "5", "[id~=/>|\\d|<+/]"},
      {"id==\"\\xg0\"", "7", "[id==\"\\x>|g0|<\"]"},
      {"id==\"\\x1\"", "7", "[id==\"\\x>|1\"|<]"},
      {"id==\"\\400\"", "5", "[id==\">|\\400|<\"]"},
      {"id==\"\\ud800\"", "5", "[id==\">|\\ud800|<\"]"},
      {"id==\"\\U00110000\"", "5", "[id==\">|\\U00110000|<\"]"},
      {"id==\"\\", "5", "[id==\">|\\|<]"},
      {"==a", "0", "[>|=|<=a]"},
      {".id", "0", "[>|.|<id]"},
      {"id.", "3", "[id.>||<]"},
      {"id..x", "3", "[id.>|.|<x]"},
      {"labels.a-b==v", "8", "[labels.a>|-|<b==v]"},
      {"labels.a/b==v", "8", "[labels.a>|/|<b==v]"},
      {"labels./a/==v", "7", "[labels.>|/|<a/==v]"},
      {"labels.'a'==v", "7", "[labels.>|'|<a'==v]"},
      {"läbels", "1", "[l>|\\xc3|<"},
      {"id~=[a-z", "4", "[id~=>|[a-z|<]"},
      {"id~=(a", "4", "[id~=>|(a|<]"},
      {"id~=a**", "4", "[id~=>|a**|<]"},
      {"id~=\"a(?=b)\"", "4", "[id~=>|\"a(?=b)\"|<]"},
      {"id~=a{1001}", "4", "[id~=>|a{1001}|<]"},
      {"id==\xff", "4", "[id==>|\\xff|<]"},
      {"id==\"\xc0\x80\"", "5", "[id==\">|\\xc0|<"},
      {"id==\"\xed\xa0\x80\"", "5", "[id==\">|\\xed|<"},
  };
  for (const auto& row : rows) {
    try {
      Filter parsed({"id", row.filter});
      ADD_FAILURE() << row.filter;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kInvalidArgument) << row.filter;
      EXPECT_EQ(error.find("field"), "filter");
      EXPECT_EQ(error.find("position"), row.position) << row.filter;
      EXPECT_THAT(error.message(), HasSubstr(row.marked)) << row.filter;
    }
  }
  EXPECT_THROW(Filter({std::string("id==a\0b", 7)}), Error);
}

TEST(Filter, HostileOnesEnd) {
  Container record = web();
  record.image = std::string(20'000, 'a');
  std::string many;
  for (int i = 0; i < 300; ++i) many += "a.*";
  EXPECT_FALSE(matches({"image~=" + many + "b"}, record));
  EXPECT_FALSE(matches({"image~=^(a|a)*b$"}, record));
  EXPECT_THROW(matches({"image~=((((a{100}){100}){100}){100})"}), Error);
  EXPECT_THROW(Filter({std::string(100'000, ',')}), Error);
  EXPECT_NO_THROW(Filter({"labels." + std::string(100'000, 'x')}));
  std::string deep = "labels";
  for (int i = 0; i < 10'000; ++i) deep += ".a";
  EXPECT_FALSE(matches({deep}));
  try {
    Filter parsed({std::string(100'000, 'x') + '<'});
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.find("position"), "100000");
    EXPECT_THAT(error.message(), HasSubstr("xx>|<|<]"));
  }
}

}  // namespace
}  // namespace ctrd::metadata
