// SPDX-License-Identifier: Apache-2.0
#include "metadata/containers.h"

#include "base/time.h"
#include "metadata/fixture.h"
#include "metadata/schema.h"

namespace ctrd::metadata {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST_F(ContainersTest, CreateFillsInWhatTheStoreGives) {
  int64_t before = wall_ns();
  Container given = record("web");
  given.created_ns = 1;
  given.labels = {{"a", "1"}, {"empty", ""}};
  Created created = containers.create("default", given, R"({"a": 1})", {});
  EXPECT_FALSE(created.replaced);
  EXPECT_GE(created.record.created_ns, before);
  EXPECT_EQ(created.record.updated_ns, created.record.created_ns);
  EXPECT_EQ(created.record.snapshot_key, "web");
  EXPECT_EQ(created.record.snapshot_number, 1u);
  EXPECT_EQ(created.record.labels, (Labels{{"a", "1"}}));
  Full full = containers.get_full("default", "web", {});
  EXPECT_EQ(full.spec, R"({"a": 1})");
  EXPECT_EQ(encode(full.record), encode(created.record));
  EXPECT_EQ(full.record.id, "web");
}

TEST_F(ContainersTest, CreateWritesRecordsAndReferences) {
  Container given = record("web");
  given.owner = 3;
  containers.create("default", given, "{}", {});
  EXPECT_THAT(keys(),
              ElementsAre(".n/snap", "default/c/web", "default/ref/owner/0000000000000003/c/web",
                          "default/ref/snap/overlay/web/c/web", "default/s/web",
                          "default/snap/overlay/web"));
  store->read({}, [](const store::View& view) {
    Snapshot snapshot = decode_snapshot(*view.find(key_snapshot({"default", "overlay", "web"})));
    EXPECT_EQ(snapshot.number, 1u);
    EXPECT_EQ(snapshot.kind, 1);
    EXPECT_EQ(snapshot.bottom, "/srv/root");
  });
}

TEST_F(ContainersTest, RefusesWhatIsWrong) {
  struct {
    const char* field;
    const char* ns;
    const char* id;
    const char* spec;
    std::function<void(Container&)> spoil;
  } rows[] = {
      {"id", "default", "", "{}", {}},
      {"id", "default", "a/b", "{}", {}},
      {"id", "default", "..", "{}", {}},
      {"namespace", ".v", "web", "{}", {}},
      {"spec", "default", "web", "", {}},
      {"runtime", "default", "web", "{}", [](Container& r) { r.runtime_name = ""; }},
      {"labels", "default", "web", "{}", [](Container& r) { r.labels[""] = "v"; }},
      {"labels", "default", "web", "{}",
       [](Container& r) { r.labels["k"] = std::string(4096, 'v'); }},
      {"extensions", "default", "web", "{}", [](Container& r) { r.extensions[""] = "v"; }},
      {"sandbox_id", "default", "web", "{}", [](Container& r) { r.sandbox_id = "a/b"; }},
  };
  for (const auto& row : rows) {
    Container given = record(row.id);
    if (row.spoil) row.spoil(given);
    Error error = error_of([&] { containers.create(row.ns, given, row.spec, {}); });
    EXPECT_EQ(error.code(), Code::kInvalidArgument) << error.what();
    EXPECT_EQ(error.find("field"), row.field);
  }
  EXPECT_EQ(
      code_of([&] { containers.create("default", record("web"), std::string(5 << 20, ' '), {}); }),
      Code::kResourceExhausted);
  EXPECT_THAT(keys(), IsEmpty());
}

TEST_F(ContainersTest, AnIdIsTakenOnceInItsNamespace) {
  create("web");
  create("WEB");
  create("web", "other");
  auto before = keys();
  for (const auto& replaces : {std::function<bool(const Container&)>(),
                               std::function([](const Container&) { return false; })}) {
    Error error =
        error_of([&] { containers.create("default", record("web"), "{}", {}, replaces); });
    EXPECT_EQ(error.code(), Code::kAlreadyExists);
    EXPECT_EQ(error.kind(), Kind::kContainer);
    EXPECT_THAT(error.message(), HasSubstr("\"web\""));
  }
  EXPECT_EQ(keys(), before);
}

TEST_F(ContainersTest, ReplaceIsOneBatch) {
  Container given = record("web");
  given.owner = 3;
  containers.create("default", given, "{}", {});
  given.owner = 4;
  auto created = containers.create("default", given, R"({"new": 1})", {}, [](const Container& old) {
    EXPECT_EQ(old.owner, 3u);
    return true;
  });
  ASSERT_TRUE(created.replaced);
  EXPECT_EQ(created.replaced->snapshot_number, 1u);
  EXPECT_EQ(created.record.snapshot_number, 2u);
  ASSERT_EQ(created.trash.size(), 1u);
  EXPECT_EQ(created.trash[0].second.name, "1");
  EXPECT_EQ(containers.get_full("default", "web", {}).spec, R"({"new": 1})");
  EXPECT_THAT(keys(), ElementsAre(".n/snap", ".n/trash", ".trash/0000000000000001", "default/c/web",
                                  "default/ref/owner/0000000000000004/c/web",
                                  "default/ref/snap/overlay/web/c/web", "default/s/web",
                                  "default/snap/overlay/web"));
}

TEST_F(ContainersTest, ASnapshotKeyInUseIsNotTaken) {
  create("web");
  put(key_snapshot_ref({"default", "overlay", "web"}, "snap", "child"), "");
  EXPECT_TRUE(containers.remove("default", "web", {})->trash.empty());  // the child needs it
  Error error = error_of([&] { create("web"); });
  EXPECT_EQ(error.code(), Code::kAlreadyExists);
  EXPECT_THAT(error.message(), HasSubstr("snapshot"));
  EXPECT_FALSE(containers.find("default", "web", {}));
}

TEST_F(ContainersTest, UnknownIsNotFound) {
  create("web", "other");
  EXPECT_FALSE(containers.find("default", "web", {}));
  for (const auto& call : {std::function([&] { containers.get("default", "web", {}); }),
                           std::function([&] { containers.get_full("default", "web", {}); }),
                           std::function([&] { containers.update("default", "web", {}, {}); })}) {
    Error error = error_of(call);
    EXPECT_EQ(error.code(), Code::kNotFound);
    EXPECT_EQ(error.kind(), Kind::kContainer);
    EXPECT_EQ(error.message(), "container \"web\": not found in namespace default");
  }
  EXPECT_FALSE(containers.remove("default", "web", {}));
}

TEST_F(ContainersTest, ListIsInOrderAndOfOneNamespace) {
  for (const char* id : {"b", "a", "B", "a-b", "a.b", "10", "9"}) create(id);
  create("elsewhere", "default2");
  create("elsewhere", "default-2");
  EXPECT_THAT(ids(containers.list("default", {})),
              ElementsAre("10", "9", "B", "a", "a-b", "a.b", "b"));
  EXPECT_THAT(containers.list("empty", {}), IsEmpty());
}

TEST_F(ContainersTest, UpdateChangesLabels) {
  Container given = record("web");
  given.labels = {{"a", "1"}, {"b", "2"}, {"c", "3"}};
  Container before = containers.create("default", given, "{}", {}).record;
  Container after = containers.update(
      "default", "web", {.labels = {{"a", "9"}, {"b", std::nullopt}, {"c", ""}, {"d", "4"}}}, {});
  EXPECT_EQ(after.labels, (Labels{{"a", "9"}, {"d", "4"}}));
  EXPECT_EQ(after.created_ns, before.created_ns);
  EXPECT_GE(after.updated_ns, before.updated_ns);
  EXPECT_EQ(encode(containers.get("default", "web", {})), encode(after));
}

TEST_F(ContainersTest, UpdateChecksTheWhole) {
  create("web");
  containers.update("default", "web", {.labels = {{"k", std::string(4000, 'v')}}}, {});
  EXPECT_EQ(code_of([&] {
              containers.update("default", "web", {.labels = {{"k", std::string(4096, 'v')}}}, {});
            }),
            Code::kInvalidArgument);
  EXPECT_EQ(containers.get("default", "web", {}).labels["k"].size(), 4000u);
}

TEST_F(ContainersTest, UpdateRewritesTheSpec) {
  create("web");
  Containers::Change change;
  change.annotations = {{"a", "1"}};
  change.respec = [](std::string spec) { return spec + " "; };
  EXPECT_EQ(containers.update("default", "web", change, {}).annotations, (Labels{{"a", "1"}}));
  EXPECT_EQ(containers.get_full("default", "web", {}).spec, "{} ");
  change.respec = [](const std::string&) -> std::string { throw invalid("spec", "", "bad"); };
  change.annotations = {{"a", std::nullopt}};
  EXPECT_EQ(code_of([&] { containers.update("default", "web", change, {}); }),
            Code::kInvalidArgument);
  EXPECT_EQ(containers.get("default", "web", {}).annotations, (Labels{{"a", "1"}}));
}

TEST_F(ContainersTest, DetachingClearsTheOwner) {
  Container given = record("web");
  given.owner = containers.new_owner({this_process(), "/run"}, {});
  given.owner_process = this_process();
  containers.create("default", given, "{}", {});
  Container after = containers.update("default", "web", {.lifetime = Lifetime::kDetached}, {});
  EXPECT_EQ(after.lifetime, Lifetime::kDetached);
  EXPECT_EQ(after.owner, 0u);
  EXPECT_EQ(after.owner_process, ProcessKey());
  EXPECT_THAT(containers.owned(given.owner, {}), IsEmpty());
  EXPECT_EQ(
      code_of([&] { containers.update("default", "web", {.lifetime = Lifetime::kOwner}, {}); }),
      Code::kFailedPrecondition);
}

TEST_F(ContainersTest, RemoveLeavesOnlyTrash) {
  Container given = record("web");
  given.owner = 3;
  containers.create("default", given, "{}", {});
  EXPECT_FALSE(containers.remove("default", "web", {}, [](const Container&) { return false; }));
  EXPECT_TRUE(containers.find("default", "web", {}));
  auto removed = containers.remove("default", "web", {});
  ASSERT_TRUE(removed);
  EXPECT_EQ(removed->record.id, "web");
  ASSERT_EQ(removed->trash.size(), 1u);
  EXPECT_EQ(removed->trash[0].first, 1u);
  EXPECT_EQ(removed->trash[0].second.kind, "snapshot");
  EXPECT_EQ(removed->trash[0].second.name, "1");
  EXPECT_THAT(keys(), ElementsAre(".n/snap", ".n/trash", ".trash/0000000000000001"));
  EXPECT_EQ(create("web").record.snapshot_number, 2u);  // a number is given once
}

TEST_F(ContainersTest, DamageIsNamed) {
  create("web");
  put(key_container("default", "web"), "\x12\x7f");
  for (const auto& call : {std::function([&] { containers.get("default", "web", {}); }),
                           std::function([&] { containers.list("default", {}); })}) {
    Error error = error_of(call);
    EXPECT_EQ(error.code(), Code::kDataLoss);
    EXPECT_THAT(error.message(), HasSubstr("\"web\""));
  }
  create("other");
  erase(key_spec("default", "other"));
  EXPECT_EQ(code_of([&] { containers.get_full("default", "other", {}); }), Code::kDataLoss);
}

}  // namespace
}  // namespace ctrd::metadata
