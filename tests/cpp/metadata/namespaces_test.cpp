// SPDX-License-Identifier: Apache-2.0
#include "metadata/namespaces.h"

#include "api/event.h"
#include "metadata/fixture.h"

namespace ctrd::metadata {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

struct NamespacesTest : ContainersTest {
  NamespacesTest() {
    containers.set_outlet({[] { return 0; },
                           [this](const std::vector<Pending>& pending) {
                             std::vector<uint64_t> done;
                             for (const auto& one : pending) {
                               events.push_back(api::decode<api::Event>(one.event));
                               done.push_back(one.number);
                             }
                             return done;
                           }});
  }
  std::vector<std::string> topics() {
    std::vector<std::string> all;
    for (const auto& event : events) all.push_back(event.ns + event.topic);
    return all;
  }
  std::vector<api::Event> events;
  Namespaces namespaces{containers.ledger()};
};

TEST_F(NamespacesTest, ComeIntoBeingWithTheirFirstObject) {
  EXPECT_THAT(namespaces.list({}), IsEmpty());
  create("web", "b");
  create("web", "a-b");
  create("web", "a");
  EXPECT_THAT(namespaces.list({}), ElementsAre("a", "a-b", "b"));
  namespaces.update("c", {{"k", "v"}}, {});
  EXPECT_THAT(namespaces.list({}), ElementsAre("a", "a-b", "b", "c"));
  namespaces.labels("d", {});
  EXPECT_THAT(ids(containers.list("e", {})), IsEmpty());
  EXPECT_THAT(namespaces.list({}), ElementsAre("a", "a-b", "b", "c"));
  containers.remove("a", "web", {});
  EXPECT_THAT(namespaces.list({}), ElementsAre("a", "a-b", "b", "c"));  // empty, and there
}

TEST_F(NamespacesTest, AreMadeOnce) {
  namespaces.create("ci", {{"a", "1"}, {"empty", ""}}, {});
  EXPECT_EQ(namespaces.labels("ci", {}), (Labels{{"a", "1"}}));
  create("web", "made");
  for (const char* ns : {"ci", "made"})
    EXPECT_EQ(code_of([&] { namespaces.create(ns, {}, {}); }), Code::kAlreadyExists) << ns;
  EXPECT_EQ(namespaces.labels("ci", {}), (Labels{{"a", "1"}}));
}

TEST_F(NamespacesTest, LabelsChangeByKey) {
  EXPECT_THAT(namespaces.labels("ci", {}), IsEmpty());
  namespaces.update("ci", {{"a", "1"}, {"b", "2"}, {"c", "3"}}, {});
  Labels now = namespaces.update("ci", {{"a", "9"}, {"b", std::nullopt}, {"c", ""}}, {});
  EXPECT_EQ(now, (Labels{{"a", "9"}}));
  EXPECT_EQ(namespaces.labels("ci", {}), now);
  create("web", "ci");
  EXPECT_EQ(namespaces.labels("ci", {}), now);
}

TEST_F(NamespacesTest, NamesAndLabelsAreChecked) {
  const std::vector<std::string> wrong = {"",   "a/b",  "..",      ".v",
                                          "-a", "a--b", "version", std::string(77, 'a')};
  for (const std::string& ns : wrong) {
    Code wanted = ns.empty() ? Code::kFailedPrecondition : Code::kInvalidArgument;
    EXPECT_EQ(code_of([&] { namespaces.create(ns, {}, {}); }), wanted) << ns;
    EXPECT_EQ(code_of([&] { namespaces.update(ns, {}, {}); }), wanted) << ns;
    EXPECT_EQ(code_of([&] { create("web", ns); }), wanted) << ns;
    if (ns == "version") continue;
    EXPECT_EQ(code_of([&] { namespaces.remove(ns, {}); }), wanted) << ns;
    EXPECT_EQ(code_of([&] { namespaces.labels(ns, {}); }), wanted) << ns;
  }
  Labels most = {{"k", std::string(4095, 'v')}}, beyond = {{"k", std::string(4096, 'v')}};
  namespaces.create("most", most, {});
  EXPECT_EQ(code_of([&] { namespaces.create("ci", beyond, {}); }), Code::kInvalidArgument);
  EXPECT_EQ(code_of([&] { namespaces.create("ci", {{"", "v"}}, {}); }), Code::kInvalidArgument);
  EXPECT_EQ(code_of([&] {
              namespaces.update("ci", {{"k", beyond["k"]}}, {});
            }),
            Code::kInvalidArgument);
  EXPECT_THAT(namespaces.list({}), ElementsAre("most"));
}

TEST_F(NamespacesTest, OnlyAnEmptyOneGoes) {
  EXPECT_EQ(code_of([&] { namespaces.remove("ci", {}); }), Code::kNotFound);
  for (const char* id : {"a", "b", "c", "d"}) create(id, "ci");
  create("a", "ci-2");
  Error error = error_of([&] { namespaces.remove("ci", {}); });
  EXPECT_EQ(error.code(), Code::kFailedPrecondition);
  EXPECT_THAT(error.message(), HasSubstr("containers (a, b, c ...), snapshots (a, b, c ...)"));
  put(key_snapshot_ref({"ci", "overlay", "a"}, "snap", "child"), "");
  for (const char* id : {"a", "b", "c", "d"}) containers.remove("ci", id, {});
  error = error_of([&] { namespaces.remove("ci", {}); });
  EXPECT_THAT(error.message(), HasSubstr("it has snapshots (a)"));
  EXPECT_THAT(error.message(), Not(HasSubstr("containers")));
  erase(key_snapshot({"ci", "overlay", "a"}));
  put("ci/lease/x", "what does not block goes too");
  namespaces.remove("ci", {});
  EXPECT_THAT(namespaces.list({}), ElementsAre("ci-2"));
  for (const auto& key : keys()) EXPECT_FALSE(key.starts_with("ci/")) << key;
  EXPECT_EQ(ids(containers.list("ci-2", {})).size(), 1u);
  create("a", "ci");
  EXPECT_THAT(namespaces.labels("ci", {}), IsEmpty());
}

TEST_F(NamespacesTest, EventsTellOfWhatWasAskedFor) {
  create("web", "implicit");
  events.clear();
  namespaces.create("ci", {{"a", "1"}}, {});
  namespaces.update("ci", {{"b", "2"}}, {});
  namespaces.remove("ci", {});
  EXPECT_THAT(topics(),
              ElementsAre("ci/namespaces/create", "ci/namespaces/update", "ci/namespaces/delete"));
  auto made = api::decode<api::NamespaceUpdate>(events[1].event.value);
  EXPECT_EQ(made.name, "ci");
  EXPECT_EQ(made.labels, (Labels{{"a", "1"}, {"b", "2"}}));
  EXPECT_EQ(code_of([&] { namespaces.create("implicit", {}, {}); }), Code::kAlreadyExists);
  EXPECT_EQ(events.size(), 3u);
}

}  // namespace
}  // namespace ctrd::metadata
