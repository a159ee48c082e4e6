// SPDX-License-Identifier: Apache-2.0
// semantics.md S7 and S15, row by row; and what goes at once.
#include "metadata/leases.h"

#include "metadata/checkpoints.h"
#include "metadata/content.h"
#include "metadata/fixture.h"
#include "metadata/namespaces.h"
#include "metadata/snapshots.h"
#include "metadata/unleased.h"

namespace ctrd::metadata {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

const std::string kDigest = "sha256:" + std::string(64, 'a');
const std::string kOther = "sha256:" + std::string(64, 'b');
constexpr const char* kPast = "2020-01-01T00:00:00Z";
constexpr const char* kFuture = "2120-01-01T00:00:00Z";

Object snapshot(const std::string& key) { return {ObjectKind::kSnapshot, key, "overlay"}; }
Object content(const std::string& digest) { return {ObjectKind::kContent, digest}; }

struct LeasesTest : ContainersTest {
  Lease lease(const std::string& id, Labels labels = {}, uint64_t owner = 0) {
    return leases.create("ns", {.id = id, .labels = std::move(labels), .owner = owner}, {});
  }
  Snapshots in_lease(const std::string& id) { return {containers.ledger(), "overlay", id}; }
  Blob blob(const std::string& digest, Labels labels = {}, const std::string& id = "") {
    Blob record;
    record.digest = digest;
    record.labels = std::move(labels);
    return blobs.add("ns", record, false, {}, id, "ref");
  }
  bool has(const std::string& key) { return snapshots.find("ns", key, {}).has_value(); }
  bool has_blob(const std::string& digest) { return blobs.find("ns", digest, {}).has_value(); }
  std::vector<std::string> held(const std::string& id) {
    std::vector<std::string> paths;
    for (const Object& object : leases.resources("ns", id, {})) paths.push_back(path_of(object));
    return paths;
  }
  std::vector<std::string> removed_with(const std::string& id,
                                        const std::set<uint64_t>& spared = {}) {
    std::vector<std::string> paths;
    auto released = leases.remove("ns", id, {}, 0, [&] { return spared; });
    for (const Object& object : released->objects) paths.push_back(path_of(object));
    return paths;
  }
  std::vector<std::string> reverse_keys() {
    std::vector<std::string> all;
    for (const auto& key : keys())
      if (key.starts_with("ns/ref/") || key.starts_with("ns/bref/") || key.starts_with("ns/held/"))
        all.push_back(key);
    return all;
  }
  Leases leases{containers.ledger()};
  Snapshots snapshots{containers.ledger(), "overlay"};
  ContentRecords blobs{containers.ledger()};
};

TEST_F(LeasesTest, CreateFindListRemove) {
  Lease made = lease("b/1", {{"app", "x"}, {"empty", ""}});
  EXPECT_GT(made.created_ns, 0);
  EXPECT_EQ(made.labels, (Labels{{"app", "x"}}));
  EXPECT_EQ(encode(leases.get("ns", "b/1", {})), encode(made));
  lease("a");
  lease("b.1");
  std::vector<std::string> ids;
  for (const Lease& one : leases.list("ns", Filter(), {})) ids.push_back(one.id);
  EXPECT_THAT(ids, ElementsAre("a", "b.1", "b/1"));
  EXPECT_EQ(leases.list("ns", Filter({"id==b/1,labels.app==x"}), {}).size(), 1u);
  EXPECT_TRUE(leases.remove("ns", "b/1", {}));
  EXPECT_FALSE(leases.remove("ns", "b/1", {}));
  EXPECT_FALSE(leases.find("ns", "b/1", {}));
  EXPECT_THAT(leases.list("other", Filter(), {}), IsEmpty());
}

struct ErrorRow {
  const char* what;
  std::function<void(Leases&)> verb;
  Code code;
};

TEST_F(LeasesTest, Errors) {
  lease("here");
  const ErrorRow rows[] = {
      {"empty id", [](Leases& all) { all.create("ns", {.id = ""}, {}); }, Code::kInvalidArgument},
      {"a long id", [](Leases& all) { all.create("ns", {.id = std::string(1025, 'x')}, {}); },
       Code::kInvalidArgument},
      {"a long label",
       [](Leases& all) {
         all.create("ns", {.id = "x", .labels = {{"k", std::string(4096, 'v')}}}, {});
       },
       Code::kInvalidArgument},
      {"duplicate", [](Leases& all) { all.create("ns", {.id = "here"}, {}); },
       Code::kAlreadyExists},
      {"no namespace", [](Leases& all) { all.create("", {.id = "x"}, {}); },
       Code::kFailedPrecondition},
      {"unknown get", [](Leases& all) { all.get("ns", "x", {}); }, Code::kNotFound},
      {"unknown add", [](Leases& all) { all.add("ns", "x", snapshot("k"), {}); }, Code::kNotFound},
      {"unknown drop", [](Leases& all) { all.drop("ns", "x", snapshot("k"), {}); },
       Code::kNotFound},
      {"unknown resources", [](Leases& all) { all.resources("ns", "x", {}); }, Code::kNotFound},
      {"no digest", [](Leases& all) { all.add("ns", "here", content("sha256:1"), {}); },
       Code::kInvalidArgument},
      {"no snapshotter",
       [](Leases& all) {
         all.add("ns", "here", {ObjectKind::kSnapshot, "k"}, {});
       },
       Code::kInvalidArgument},
      {"a snapshotter with a slash",
       [](Leases& all) {
         all.add("ns", "here", {ObjectKind::kSnapshot, "k", "a/b"}, {});
       },
       Code::kInvalidArgument},
      {"a snapshotter of content",
       [](Leases& all) {
         all.add("ns", "here", {ObjectKind::kContent, kDigest, "overlay"}, {});
       },
       Code::kInvalidArgument},
      {"an empty key", [](Leases& all) { all.add("ns", "here", snapshot(""), {}); },
       Code::kInvalidArgument},
      {"a container",
       [](Leases& all) {
         all.add("ns", "here", {ObjectKind::kContainer, "web"}, {});
       },
       Code::kUnimplemented},
      {"a lease",
       [](Leases& all) {
         all.drop("ns", "here", {ObjectKind::kLease, "here"}, {});
       },
       Code::kUnimplemented},
  };
  for (const ErrorRow& row : rows)
    EXPECT_EQ(code_of([&] { row.verb(leases); }), row.code) << row.what;
  EXPECT_THAT(held("here"), IsEmpty());
}

TEST_F(LeasesTest, ResourcesComeAndGo) {
  lease("l");
  leases.add("ns", "l", snapshot("a/b"), {});
  leases.add("ns", "l", snapshot("a/b"), {});
  leases.add("ns", "l", content(kDigest), {});
  leases.add("ns", "l", {ObjectKind::kIngest, "up/1"}, {});
  leases.add("ns", "l", {ObjectKind::kImage, "docker.io/x"}, {});
  EXPECT_THAT(held("l"), ElementsAre("blob/" + kDigest, "image/docker.io%2Fx", "ingest/up%2F1",
                                     "snap/overlay/a%2Fb"));
  leases.drop("ns", "l", snapshot("a/b"), {});
  leases.drop("ns", "l", snapshot("a/b"), {});
  leases.drop("ns", "l", content(kDigest), {});
  EXPECT_THAT(held("l"), ElementsAre("image/docker.io%2Fx", "ingest/up%2F1"));
  auto released = leases.remove("ns", "l", {});
  EXPECT_THAT(released->ingests, ElementsAre("up/1"));
  EXPECT_THAT(reverse_keys(), IsEmpty());
}

TEST_F(LeasesTest, WhatIsMadeInALeaseBelongsToIt) {
  lease("l");
  Snapshots mine = in_lease("l");
  mine.prepare("ns", "work", "", {}, {});
  EXPECT_THAT(held("l"), ElementsAre("snap/overlay/work"));
  mine.commit("ns", "base", "work", {}, {});
  EXPECT_THAT(held("l"), ElementsAre("snap/overlay/base"));
  mine.view("ns", "look", "base", {}, {});
  blobs.find_for("ns", std::nullopt, "l", "ref", {});
  EXPECT_THAT(held("l"), ElementsAre("ingest/ref", "snap/overlay/base", "snap/overlay/look"));
  blob(kDigest, {}, "l");
  EXPECT_THAT(held("l"), ElementsAre("blob/" + kDigest, "snap/overlay/base", "snap/overlay/look"));
}

TEST_F(LeasesTest, WhatIsThereAlreadyJoinsIt) {
  lease("l");
  snapshots.prepare("ns", "there", "", {}, {});
  snapshots.prepare("ns", "x", "", {}, {});
  snapshots.commit("ns", "base", "x", {}, {});
  blob(kDigest);
  blob(kOther);
  Snapshots mine = in_lease("l");
  EXPECT_EQ(code_of([&] { mine.prepare("ns", "there", "", {}, {}); }), Code::kAlreadyExists);
  EXPECT_EQ(code_of([&] {
              mine.prepare("ns", "new", "", {{kSnapshotRefLabel, "base"}}, {});
            }),
            Code::kAlreadyExists);
  EXPECT_EQ(code_of([&] { blob(kDigest, {}, "l"); }), Code::kAlreadyExists);
  EXPECT_TRUE(blobs.find_for("ns", kOther, "l", "ref", {}));
  EXPECT_THAT(held("l"), UnorderedElementsAre("blob/" + kDigest, "blob/" + kOther,
                                              "snap/overlay/base", "snap/overlay/there"));
}

TEST_F(LeasesTest, ALeaseThatIsNotThereMakesNothing) {
  snapshots.prepare("ns", "work", "", {}, {});
  auto before = keys();
  Snapshots mine = in_lease("gone");
  EXPECT_EQ(code_of([&] { mine.prepare("ns", "a", "", {}, {}); }), Code::kNotFound);
  EXPECT_EQ(code_of([&] { mine.view("ns", "a", "", {}, {}); }), Code::kNotFound);
  EXPECT_EQ(code_of([&] { mine.commit("ns", "a", "work", {}, {}); }), Code::kNotFound);
  EXPECT_EQ(code_of([&] { blob(kDigest, {}, "gone"); }), Code::kNotFound);
  Error error = error_of([&] { blobs.find_for("ns", kDigest, "gone", "ref", {}); });
  EXPECT_EQ(error.code(), Code::kNotFound);
  EXPECT_THAT(error.message(), HasSubstr("lease \"gone\""));
  EXPECT_EQ(keys(), before);
}

TEST_F(LeasesTest, WhatItAloneHeldGoesWithIt) {
  lease("l");
  Snapshots mine = in_lease("l");
  mine.prepare("ns", "a", "", {}, {});
  mine.commit("ns", "base", "a", {}, {});
  mine.prepare("ns", "top", "base", {}, {});
  snapshots.prepare("ns", "others", "", {}, {});
  blob(kDigest, {}, "l");
  auto released = leases.remove("ns", "l", {});
  EXPECT_EQ(released->objects.size(), 3u);
  EXPECT_EQ(released->trash.size(), 3u);
  EXPECT_FALSE(has("base") || has("top") || has_blob(kDigest));
  EXPECT_TRUE(has("others"));
  EXPECT_THAT(reverse_keys(), IsEmpty());
}

TEST_F(LeasesTest, WhatAnotherKeepsStays) {
  lease("l");
  lease("other");
  lease("old", {{"containerd.io/gc.expire", kPast}});
  lease("odd", {{"containerd.io/gc.expire", "some day"}});
  lease("long", {{"containerd.io/gc.expire", kFuture}});
  Snapshots mine = in_lease("l");
  for (const char* key :
       {"other", "old", "odd", "long", "labelled", "used", "root", "child", "mine"})
    mine.prepare("ns", key, "", {}, {});
  for (const char* id : {"other", "old", "odd", "long"}) leases.add("ns", id, snapshot(id), {});
  blob(kDigest, {{"containerd.io/gc.ref.snapshot.overlay", "labelled"}});
  containers.create("ns", record("web"), "{}", {}, {}, "used");
  snapshots.update("ns", "root", {{"containerd.io/gc.root", "1"}}, {});
  mine.commit("ns", "parent", "child", {}, {});
  snapshots.prepare("ns", "grandchild", "parent", {}, {});
  auto spared = snapshots.prepare("ns", "mounted", "", {}, {}).number;
  leases.add("ns", "l", snapshot("mounted"), {});
  EXPECT_THAT(removed_with("l", {spared}),
              UnorderedElementsAre("snap/overlay/old", "snap/overlay/mine"));
}

TEST_F(LeasesTest, AnOwnersLeases) {
  uint64_t owner = containers.new_owner({}, {});
  const Lease made = lease("a/b", {}, owner);
  EXPECT_THAT(leases.owned(owner, {}),
              ElementsAre(std::pair<std::string, std::string>("ns", "a/b")));
  containers.forget_owner(owner, {});
  EXPECT_EQ(containers.owners({}).size(), 1u);
  EXPECT_FALSE(leases.remove("ns", "a/b", {}, made.created_ns - 1));
  EXPECT_TRUE(leases.remove("ns", "a/b", {}, made.created_ns));
  EXPECT_THAT(leases.owned(owner, {}), IsEmpty());
  containers.forget_owner(owner, {});
  EXPECT_THAT(containers.owners({}), IsEmpty());
}

TEST_F(LeasesTest, ANamespacesLeasesGoWithIt) {
  lease("l");
  leases.add("ns", "l", snapshot("gone"), {});
  Namespaces namespaces(containers.ledger());
  namespaces.remove("ns", {});
  EXPECT_FALSE(leases.find("ns", "l", {}));
  for (const auto& key : keys()) EXPECT_FALSE(key.starts_with("ns/")) << key;
}

TEST_F(LeasesTest, WhatLabelsAloneKeptGoesWithTheirObject) {
  const Labels config{{"containerd.io/gc.ref.snapshot.overlay", "base"}};
  const Labels index{{"containerd.io/gc.ref.content.0", kOther}};
  auto make = [&] {
    snapshots.prepare("ns", "w", "", {}, {});
    snapshots.commit("ns", "base", "w", {}, {});
    blob(kOther, config);
  };
  auto is_gone = [&] { return !has("base") && !has_blob(kOther) && reverse_keys().empty(); };
  make();
  blob(kDigest, index);
  EXPECT_EQ(blobs.remove("ns", kDigest, {}).size(), 3u);
  EXPECT_TRUE(is_gone());

  make();
  Container web = record("web");
  web.labels = index;
  containers.create("ns", web, "{}", {});
  EXPECT_EQ(containers.remove("ns", "web", {})->trash.size(), 3u);
  EXPECT_TRUE(is_gone());

  make();
  snapshots.prepare("ns", "top", "", index, {});
  EXPECT_EQ(snapshots.remove("ns", "top", {}).size(), 3u);
  EXPECT_TRUE(is_gone());

  make();
  Checkpoints checkpoints(containers.ledger());
  Checkpoint warm;
  warm.name = "warm";
  warm.labels = index;
  checkpoints.add("ns", warm, {});
  std::vector<Numbered> trash;
  checkpoints.remove("ns", "warm", {}, &trash);
  EXPECT_EQ(trash.size(), 2u);
  EXPECT_TRUE(is_gone());
}

TEST_F(LeasesTest, BackReferencesKeepAndLetGo) {
  containers.create("ns", record("web"), "{}", {});
  containers.create("ns", record("db"), "{}", {});
  blob(kDigest,
       {{"containerd.io/gc.bref.container.a", "web"}, {"containerd.io/gc.bref.container.b", "db"}});
  containers.remove("ns", "web", {});
  EXPECT_TRUE(has_blob(kDigest));
  containers.remove("ns", "db", {});
  EXPECT_FALSE(has_blob(kDigest));
  EXPECT_THAT(reverse_keys(), IsEmpty());
}

TEST_F(LeasesTest, LabelsThatChangeTakeTheirKeysAlong) {
  blob(kDigest);
  const std::string label = "containerd.io/gc.ref.content.x";
  const std::string ref = "ns/ref/blob/" + kDigest + "/label/";
  snapshots.prepare("ns", "k", "", {{label, kDigest}}, {});
  blob(kOther, {{label, kDigest}});
  Container web = record("web");
  web.labels = {{label, kDigest}};
  containers.create("ns", web, "{}", {});
  EXPECT_THAT(reverse_keys(), ElementsAre(ref + "blob/" + kOther, ref + "c/web",
                                          ref + "snap/overlay/k", "ns/ref/snap/overlay/web/c/web"));
  snapshots.update("ns", "k", {{label, kOther}}, {});
  blobs.update("ns", kOther, {{label, std::nullopt}}, {});
  Containers::Change change;
  change.labels = {{label, std::nullopt}};
  containers.update("ns", "web", change, {});
  EXPECT_THAT(reverse_keys(), ElementsAre("ns/ref/blob/" + kOther + "/label/snap/overlay/k",
                                          "ns/ref/snap/overlay/web/c/web"));
  snapshots.commit("ns", "done", "k", {{label, kDigest}}, {});
  EXPECT_THAT(reverse_keys(),
              ElementsAre(ref + "snap/overlay/done", "ns/ref/snap/overlay/web/c/web"));
}

TEST_F(LeasesTest, WhatAnUpdateNamesIsNotReleasedByIt) {
  snapshots.prepare("ns", "a", "", {}, {});
  snapshots.prepare("ns", "b", "", {}, {});
  containers.create("ns", record("web"), "{}", {}, {}, "a");
  Containers::Change change{.labels = {{"containerd.io/gc.ref.snapshot.overlay", "a"}},
                            .snapshot_key = "b"};
  std::vector<Numbered> trash;
  containers.update("ns", "web", change, {}, &trash);
  EXPECT_THAT(trash, IsEmpty());
  EXPECT_TRUE(has("a"));
  change = {.labels = {{"containerd.io/gc.ref.snapshot.overlay", std::nullopt}},
            .snapshot_key = "a"};
  containers.update("ns", "web", change, {}, &trash);
  EXPECT_EQ(trash.size(), 1u);
  EXPECT_TRUE(has("a") && !has("b"));
  EXPECT_THAT(reverse_keys(), ElementsAre("ns/ref/snap/overlay/a/c/web"));
}

TEST_F(LeasesTest, WhatIsLeasedIsNotTakenForNobodys) {
  containers.create("ns", record("web"), "{}", {});
  const Container web = containers.get("ns", "web", {});
  lease("old", {{"containerd.io/gc.expire", kPast}});
  leases.add("ns", "old", snapshot("web"), {});
  EXPECT_FALSE(is_leased(*containers.ledger(), "ns", web, {}));
  lease("l");
  leases.add("ns", "l", snapshot("web"), {});
  EXPECT_TRUE(is_leased(*containers.ledger(), "ns", web, {}));
  bool may = true;
  auto remove = [&] {
    return remove_unleased(*containers.ledger(), "ns", "web", {},
                           [&](const Container&) { return may; });
  };
  EXPECT_FALSE(remove());
  leases.remove("ns", "l", {});
  may = false;
  EXPECT_FALSE(remove());
  may = true;
  EXPECT_EQ(remove()->trash.size(), 1u);
  EXPECT_FALSE(remove() || has("web"));
}

TEST_F(LeasesTest, AContainersLayerThatALeaseHoldsStays) {
  containers.create("ns", record("web"), "{}", {});
  lease("l");
  leases.add("ns", "l", snapshot("web"), {});
  EXPECT_THAT(containers.remove("ns", "web", {})->trash, IsEmpty());
  EXPECT_TRUE(has("web"));
  EXPECT_THAT(removed_with("l"), ElementsAre("snap/overlay/web"));
}

}  // namespace
}  // namespace ctrd::metadata
