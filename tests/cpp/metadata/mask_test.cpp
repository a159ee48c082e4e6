// SPDX-License-Identifier: Apache-2.0
// Updates by containerd's field paths: semantics.md S1, row by row.
#include "metadata/mask.h"

#include "metadata/fixture.h"

namespace ctrd::metadata {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct MaskTest : ContainersTest {
  using Change = Containers::Change;
  MaskTest() {
    Container given = record("web");
    given.snapshotter = "overlay";
    given.image = "old";
    given.labels = {{"a", "1"}, {"b", "2"}, {"x.y", "3"}};
    given.extensions = {{"e", "1"}, {"f", "2"}};
    containers.create("default", given, "{}", {});
  }
  Container update(Change change) { return containers.update("default", "web", change, {}); }
  std::string spec() { return containers.get_full("default", "web", {}).spec; }
  Change just(std::vector<std::string> fields) {
    Change change;
    change.fields = std::move(fields);
    return change;
  }
  // Everything new, of which the paths take their part.
  Change all(std::vector<std::string> fields) {
    Change change;
    change.labels = {{"a", "9"}, {"n", "5"}};
    change.extensions = {{"e", "9"}};
    change.image = "new";
    change.respec = [](const std::string&) { return "{\"new\":1}"; };
    change.fields = std::move(fields);
    return change;
  }
};

TEST_F(MaskTest, WhatIsGivenWithoutPaths) {
  Change change;
  change.labels = {{"a", "9"}, {"b", std::nullopt}};
  change.extensions = {{"e", std::nullopt}, {"g", "3"}};
  change.image = "";
  Container now = update(change);
  EXPECT_EQ(now.labels, (Labels{{"a", "9"}, {"x.y", "3"}}));
  EXPECT_EQ(now.extensions, (Labels{{"f", "2"}, {"g", "3"}}));
  EXPECT_EQ(now.image, "");
  EXPECT_EQ(now.snapshot_key, "web");
  EXPECT_EQ(spec(), "{}");
}

TEST_F(MaskTest, APathTakesItsField) {
  struct {
    std::vector<std::string> fields;
    Labels labels, extensions;
    const char* image;
    const char* spec;
  } rows[] = {
      {{"image"}, {{"a", "1"}, {"b", "2"}, {"x.y", "3"}}, {{"e", "1"}, {"f", "2"}}, "new", "{}"},
      {{"labels.a"}, {{"a", "9"}, {"b", "2"}, {"x.y", "3"}}, {{"e", "1"}, {"f", "2"}}, "new", "{}"},
      {{"labels.x.y", "labels.n"},
       {{"a", "9"}, {"b", "2"}, {"n", "5"}},
       {{"e", "1"}, {"f", "2"}},
       "new",
       "{}"},
      {{"labels"}, {{"a", "9"}, {"n", "5"}}, {{"e", "1"}, {"f", "2"}}, "new", "{}"},
      {{"extensions.e", "extensions.f"}, {{"a", "9"}, {"n", "5"}}, {{"e", "9"}}, "new", "{}"},
      {{"spec"}, {{"a", "9"}, {"n", "5"}}, {{"e", "9"}}, "new", "{\"new\":1}"},
      {{"extensions", "image", "spec"},
       {{"a", "9"}, {"n", "5"}},
       {{"e", "9"}},
       "new",
       "{\"new\":1}"},
  };
  for (const auto& row : rows) {  // one after the other
    Container now = update(all(row.fields));
    EXPECT_EQ(now.labels, row.labels) << row.fields[0];
    EXPECT_EQ(now.extensions, row.extensions) << row.fields[0];
    EXPECT_EQ(now.image, row.image) << row.fields[0];
    EXPECT_EQ(spec(), row.spec) << row.fields[0];
  }
}

TEST_F(MaskTest, WhatAPathNamesAndNobodyGivesIsNothing) {
  EXPECT_EQ(update(just({"image"})).image, "");
  EXPECT_EQ(update(just({"labels.a"})).labels, (Labels{{"b", "2"}, {"x.y", "3"}}));
  EXPECT_EQ(update(just({"labels"})).labels, Labels());
  EXPECT_EQ(update(just({"extensions"})).extensions, Labels());
  Error error = error_of([&] { update(just({"spec"})); });
  EXPECT_EQ(error.code(), Code::kInvalidArgument);
  EXPECT_EQ(error.find("field"), "spec");
}

TEST_F(MaskTest, NoPathIsAllOfThem) {
  Change change = all({});
  change.snapshot_key = "web";
  Container now = update(change);
  EXPECT_EQ(now.labels, (Labels{{"a", "9"}, {"n", "5"}}));
  EXPECT_EQ(now.extensions, (Labels{{"e", "9"}}));
  EXPECT_EQ(now.image, "new");
  EXPECT_EQ(spec(), "{\"new\":1}");
  EXPECT_EQ(code_of([&] { update(just({})); }),
            Code::kInvalidArgument);  // no spec
}

TEST_F(MaskTest, OtherPathsAreRefusedAndNothingChanges) {
  for (const char* path :
       {"id", "runtime", "runtime.name", "runtime.options", "snapshotter", "sandboxid", "createdat",
        "updated_at", "annotations", "annotations.a", "labels.", "extensions.", "Labels", "image.x",
        "spec.process", "snapshot_key", "", "."}) {
    Error error = error_of([&] { update(all({"image", path})); });
    EXPECT_EQ(error.code(), Code::kInvalidArgument) << path;
    EXPECT_EQ(error.find("field"), "fields");
  }
  EXPECT_EQ(containers.get("default", "web", {}).image, "old");
  Error error = error_of([&] { containers.update("default", "none", all({"id"}), {}); });
  EXPECT_EQ(error.code(), Code::kNotFound);  // existence comes first
}

TEST_F(MaskTest, TheResultIsCheckedAsAWhole) {
  for (const auto& spoil :
       {std::function([](Change& c) { c.labels["k"] = std::string(4096, 'v'); }),
        std::function([](Change& c) { c.labels[""] = "v"; }),
        std::function([](Change& c) { c.extensions[""] = "v"; })}) {
    Change change = all({});
    spoil(change);
    EXPECT_EQ(code_of([&] { update(change); }), Code::kInvalidArgument);
    change.fields.reset();
    EXPECT_EQ(code_of([&] { update(change); }), Code::kInvalidArgument);
  }
  EXPECT_EQ(containers.get("default", "web", {}).image, "old");
}

TEST_F(MaskTest, ALongKeyIsCutInTheMessage) {
  std::string key(5000, 'k');
  Error error = error_of([&] { update({.labels = {{key, "v"}}}); });
  EXPECT_THAT(error.message(), HasSubstr(std::string(64, 'k')));
  EXPECT_THAT(error.message(), testing::Not(HasSubstr(std::string(65, 'k'))));
}

TEST_F(MaskTest, AnotherSnapshotLetsTheOldOneGo) {
  Snapshot snapshot;
  snapshot.number = 40;
  put(key_snapshot({"default", "overlay", "mine"}), encode(snapshot));
  std::vector<std::pair<uint64_t, Trash>> trash;
  Container now = containers.update("default", "web", {.snapshot_key = "mine"}, {}, &trash);
  EXPECT_EQ(now.snapshot_key, "mine");
  EXPECT_EQ(now.snapshot_number, 40u);
  ASSERT_EQ(trash.size(), 1u);
  EXPECT_EQ(trash[0].second.name, "1");
  EXPECT_THAT(keys(), ElementsAre(".n/snap", ".n/trash", ".trash/0000000000000001", "default/c/web",
                                  "default/ref/snap/overlay/mine/c/web", "default/s/web",
                                  "default/snap/overlay/mine"));
  EXPECT_TRUE(update({.snapshot_key = "mine"}).snapshot_key == "mine");
  now = update(just({"snapshotkey"}));
  EXPECT_EQ(now.snapshot_key, "");
  EXPECT_EQ(now.snapshot_number, 0u);
  EXPECT_FALSE(containers.remove("default", "web", {})->trash.size());
}

TEST_F(MaskTest, WhatItStoodUponGoesWithItsSnapshot) {
  Container made;
  made.id = "upon";
  made.rootfs = "/srv/root";
  made.runtime_name = "io.containerd.ctrd.v2";
  made.snapshotter = "overlay";
  containers.create("default", made, "{}", {});
  auto repinned = [&](const std::string& key) {
    return containers.update("default", "upon", {.snapshot_key = key}, {}).rootfs;
  };
  EXPECT_EQ(repinned("upon"), "/srv/root");  // as it was
  EXPECT_EQ(repinned(""), "");
  Snapshot users;
  users.number = 42;
  put(key_snapshot({"default", "overlay", "upon"}), encode(users));
  EXPECT_EQ(repinned("upon"), "");
  users.bottom = "/srv/another";
  put(key_snapshot({"default", "overlay", "other"}), encode(users));
  EXPECT_EQ(repinned("other"), "/srv/another");
  EXPECT_EQ(containers.get("default", "upon", {}).rootfs, "/srv/another");
}

TEST_F(MaskTest, ASnapshotThatCannotBeTakenIsRefused) {
  create("other");
  Snapshot base;
  base.number = 41;
  base.kind = 3;
  put(key_snapshot({"default", "overlay", "base"}), encode(base));
  struct {
    const char* key;
    Code code;
  } rows[] = {{"none", Code::kNotFound},
              {"other", Code::kFailedPrecondition},
              {"base", Code::kFailedPrecondition}};
  auto before = keys();
  for (const auto& row : rows)
    EXPECT_EQ(code_of([&] { update({.snapshot_key = row.key}); }), row.code) << row.key;
  EXPECT_EQ(keys(), before);
}

}  // namespace
}  // namespace ctrd::metadata
