// SPDX-License-Identifier: Apache-2.0
// semantics.md S8: roots, edges, labels, and what is swept.
#include "metadata/collect.h"

#include <algorithm>

#include "metadata/checkpoints.h"
#include "metadata/content.h"
#include "metadata/fixture.h"
#include "metadata/leases.h"
#include "metadata/snapshots.h"

namespace ctrd::metadata {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string digest(char c) { return "sha256:" + std::string(64, c); }
Object snapshot(const std::string& key) { return {ObjectKind::kSnapshot, key, "overlay"}; }
Object content(char c) { return {ObjectKind::kContent, digest(c)}; }

struct CollectTest : ContainersTest {
  Snapshot prepare(const std::string& key, const std::string& parent = "", Labels labels = {}) {
    return snapshots.prepare("ns", key, parent, std::move(labels), {});
  }
  void layer(const std::string& name, const std::string& parent = "", Labels labels = {}) {
    prepare(name + "-", parent);
    snapshots.commit("ns", name, name + "-", std::move(labels), {});
  }
  void blob(char c, Labels labels = {}, const std::string& ns = "ns") {
    Blob record;
    record.digest = digest(c);
    record.size = 10;
    record.labels = std::move(labels);
    blobs.add(ns, record, false, {});
  }
  void lease(const std::string& id, const std::vector<Object>& held, Labels labels = {},
             uint64_t owner = 0) {
    leases.create("ns", {.id = id, .labels = std::move(labels), .owner = owner}, {});
    for (const Object& object : held) leases.add("ns", id, object, {});
  }
  std::vector<std::string> paths(const Collected& found) {
    std::vector<std::string> all;
    for (const Garbage& one : found.removed) all.push_back(path_of(one.object));
    return all;
  }
  Collected look() {
    Collected found;
    store->read({}, [&](const store::View& view) { found = collectable(view, "ns", facts); });
    return found;
  }
  // What a look said is what a collection removes, and then there is nothing more.
  std::vector<std::string> collected() {
    auto said = paths(look());
    Collected found;
    containers.ledger()->change({},
                                [&](Changes& changes) { found = collect(changes, "ns", facts); });
    EXPECT_EQ(paths(found), said);
    EXPECT_THAT(paths(look()), IsEmpty());
    return said;
  }
  std::vector<std::string> batch(std::size_t most) {
    Collected found;
    containers.ledger()->change(
        {}, [&](Changes& changes) { found = collect(changes, "ns", facts, most); });
    return paths(found);
  }
  Why explain(const Object& object) {
    Why why;
    store->read({},
                [&](const store::View& view) { why = Graph(view, "ns", facts).explain(object); });
    return why;
  }
  Facts facts{.dead_owners = {}, .in_use = {}, .now_ns = 1'800'000'000'000'000'000};
  Leases leases{containers.ledger()};
  Snapshots snapshots{containers.ledger(), "overlay"};
  ContentRecords blobs{containers.ledger()};
};

const std::string kSnapshotRef = "containerd.io/gc.ref.snapshot.overlay";
const std::string kContentRef = "containerd.io/gc.ref.content.";
constexpr const char* kRoot = "containerd.io/gc.root";

TEST_F(CollectTest, NothingKeepsWhatNothingRefersTo) {
  layer("base");
  prepare("top", "base");
  blob('a');
  blob('a', {}, "other");
  blob('b');
  auto found = look();
  ASSERT_EQ(found.removed.size(), 4u);
  EXPECT_EQ(found.removed[0].bytes, 0u);  // the other namespace has it too
  EXPECT_EQ(found.removed[1].bytes, 10u);
  EXPECT_GT(found.removed[2].layer, 0u);
  EXPECT_THAT(collected(), ElementsAre("blob/" + digest('a'), "blob/" + digest('b'),
                                       "snap/overlay/base", "snap/overlay/top"));
  EXPECT_EQ(containers.trash({}).size(), 3u);
  EXPECT_TRUE(blobs.find("other", digest('a'), {}));
  for (const auto& key : keys()) EXPECT_FALSE(key.starts_with("ns/")) << key;
}

TEST_F(CollectTest, ContainersKeepTheirChainAndWhatTheirLabelsName) {
  layer("base");
  layer("middle", "base");
  blob('c', {{kContentRef + "0", digest('d')}});
  blob('d');
  blob('e');
  Container web = record("web");
  web.labels = {{kContentRef + "config", digest('c')}};
  containers.create("ns", web, "{}", {}, {}, "middle");
  EXPECT_THAT(collected(), ElementsAre("blob/" + digest('e')));
}

TEST_F(CollectTest, LeasesUntilTheyEnd) {
  for (const char* key : {"a", "b", "c", "d", "e"}) prepare(key);
  uint64_t alive = containers.new_owner({}, {}), dead = containers.new_owner({}, {});
  facts.dead_owners = {dead};
  lease("for ever", {snapshot("a")});
  lease("odd", {snapshot("b")}, {{"containerd.io/gc.expire", "some day"}});
  lease("alive", {snapshot("c")}, {}, alive);
  lease("dead", {snapshot("d")}, {}, dead);
  lease("old", {snapshot("e")}, {{"containerd.io/gc.expire", "2026-01-01T00:00:00Z"}});
  EXPECT_THAT(collected(),
              ElementsAre("snap/overlay/d", "snap/overlay/e", "lease/dead", "lease/old"));
  EXPECT_THAT(leases.owned(dead, {}), IsEmpty());
  EXPECT_EQ(leases.owned(alive, {}).size(), 1u);
}

TEST_F(CollectTest, AFlatLeaseHoldsWhatItNamesAndParents) {
  layer("base");
  layer("top", "base", {{kContentRef + "0", digest('a')}});
  blob('a');
  blob('b', {{kContentRef + "0", digest('c')}});
  blob('c');
  lease("flat", {snapshot("top"), content('b')}, {{"containerd.io/gc.flat", "1"}});
  EXPECT_THAT(paths(look()), ElementsAre("blob/" + digest('a'), "blob/" + digest('c')));
  lease("whole", {content('b')});  // another way, which is not flat
  EXPECT_THAT(collected(), ElementsAre("blob/" + digest('a')));
}

TEST_F(CollectTest, LabelsOfEachKind) {
  layer("rooted", "", {{kRoot, ""}});  // an empty value is no label
  layer("root", "", {{kRoot, "2026"}, {kSnapshotRef + "/x", "named"}});
  prepare("named");
  blob('a', {{kRoot, "yes"}, {kContentRef + "0", digest('b')}});
  blob('b');
  containers.create("ns", record("web"), "{}", {});
  blob('c', {{"containerd.io/gc.bref.container", "web"}});
  blob('d', {{"containerd.io/gc.bref.content.x", digest('c')}});
  blob('e', {{"containerd.io/gc.bref.snapshot.overlay", "gone"}});
  prepare("f", "", {{"containerd.io/gc.bref.snapshot.overlay/y", "web"}});
  Checkpoints checkpoints(containers.ledger());
  Checkpoint warm;
  warm.name = "warm";
  warm.labels = {{kSnapshotRef, "layer"}};
  checkpoints.add("ns", warm, {});
  prepare("layer");
  EXPECT_THAT(collected(), ElementsAre("blob/" + digest('e'), "snap/overlay/rooted"));
}

TEST_F(CollectTest, ACheckpointKeepsWhatItsLayerStandsUpon) {
  layer("base");
  layer("loose");
  Checkpoints checkpoints(containers.ledger());
  Checkpoint warm;
  warm.name = "warm";
  warm.base = "base";
  lease("l", {snapshot("base")});
  checkpoints.add("ns", warm, {});
  leases.remove("ns", "l", {});
  EXPECT_THAT(collected(), ElementsAre("snap/overlay/loose"));
  EXPECT_EQ(explain(snapshot("base")).paths[0][0], "checkpoint \"warm\"");
  checkpoints.remove("ns", "warm", {});
  EXPECT_TRUE(snapshots.find("ns", "base", {}));  // it may be whoever's base
  EXPECT_THAT(collected(), ElementsAre("snap/overlay/base"));
  for (const auto& key : keys()) EXPECT_FALSE(key.starts_with("ns/")) << key;
}

TEST_F(CollectTest, ARingKeepsNothing) {
  blob('a', {{kContentRef + "0", digest('b')}});
  blob('b', {{kContentRef + "0", digest('a')}});
  EXPECT_THAT(explain(content('a')).hint, HasSubstr("is kept by nothing either"));
  EXPECT_EQ(collected().size(), 2u);
}

TEST_F(CollectTest, WhatIsMountedStays) {
  layer("base");
  Snapshot base = snapshots.stat("ns", "base", {});
  facts.in_use[prepare("work", "base").number] = "mounted at /mnt";
  snapshots.view("ns", "look", "base", {}, {});
  EXPECT_THAT(paths(look()), ElementsAre("snap/overlay/look"));
  facts.in_use[base.number] = "mounted at /mnt";  // as a lower directory: maybe of the view
  EXPECT_THAT(collected(), IsEmpty());
  EXPECT_THAT(explain(snapshot("work")).paths[0],
              ElementsAre("snapshot \"work\" (overlay), mounted at /mnt"));
  facts.in_use[snapshots.stat("ns", "look", {}).number] = "mounted by another process";
  EXPECT_THAT(explain(snapshot("look")).paths[0],  // the view itself, not what it shows
              ElementsAre("snapshot \"look\" (overlay), mounted by another process"));
}

TEST_F(CollectTest, ABatchLeavesWhatTheRestRefersTo) {
  layer("a");
  layer("b", "a");
  layer("c", "b", {{kContentRef + "0", digest('a')}});
  blob('a', {{kSnapshotRef, "d"}});
  layer("d");
  lease("old", {snapshot("c")}, {{"containerd.io/gc.expire", "2020-01-01T00:00:00Z"}});
  EXPECT_THAT(batch(1), ElementsAre("lease/old"));
  EXPECT_THAT(batch(1), ElementsAre("snap/overlay/c"));
  lease("new", {content('a'), snapshot("b")});  // takes up what was garbage: it is whole
  EXPECT_THAT(batch(1), IsEmpty());
  leases.drop("ns", "new", content('a'), {});
  EXPECT_THAT(batch(1), ElementsAre("blob/" + digest('a')));
  leases.drop("ns", "new", snapshot("b"), {});
  for (int left : {2, 1, 0}) {
    EXPECT_THAT(batch(1), testing::SizeIs(1));
    EXPECT_EQ(look().removed.size(), static_cast<std::size_t>(left));
  }
  EXPECT_THAT(batch(1), IsEmpty());
}

TEST_F(CollectTest, ABatchIsAsLargeAsItMay) {
  for (int i = 0; i < 100; ++i) prepare("layer" + std::to_string(i));
  const std::size_t one = batch(1).size(), some = batch(4000).size(), rest = batch(1 << 20).size();
  EXPECT_EQ(one, 1u);
  EXPECT_GT(some, 2u);
  EXPECT_LT(some, 40u);
  EXPECT_EQ(one + some + rest, 100u);
}

TEST_F(CollectTest, ARingGoesInOneBatch) {
  for (char one : std::string("abcd"))
    blob(one, {{kContentRef + "0", digest(one == 'd' ? 'a' : static_cast<char>(one + 1))}});
  blob('0', {{kContentRef + "0", digest('c')}, {kContentRef + "1", digest('0')}});  // and itself
  EXPECT_THAT(batch(1), ElementsAre("blob/" + digest('0')));
  EXPECT_THAT(batch(1), testing::SizeIs(4));
}

TEST_F(CollectTest, HeldIngests) {
  lease("l", {{ObjectKind::kIngest, "a/b"}});
  lease("old", {{ObjectKind::kIngest, "c"}}, {{"containerd.io/gc.expire", "2026-01-01T00:00:00Z"}});
  EXPECT_THAT(look().held_ingests, ElementsAre("a/b"));
}

TEST_F(CollectTest, EveryPathIsTold) {
  layer("base");
  containers.create("ns", record("web"), "{}", {}, {}, "base");
  lease("l", {snapshot("base")}, {{"containerd.io/gc.expire", "2120-01-01T00:00:00Z"}});
  blob('a', {{kRoot, "1"}, {kSnapshotRef, "base"}});
  auto paths = explain(snapshot("base")).paths;
  std::ranges::sort(paths);
  EXPECT_THAT(
      paths,
      ElementsAre(ElementsAre("container \"web\"", "its layer: snapshot \"web\" (overlay)",
                              "its parent: snapshot \"base\" (overlay)"),
                  ElementsAre("content \"" + digest('a') + "\", by its label containerd.io/gc.root",
                              "by the label " + kSnapshotRef + ": snapshot \"base\" (overlay)"),
                  ElementsAre("lease \"l\", until 2120-01-01T00:00:00Z",
                              "holds snapshot \"base\" (overlay)")));
  EXPECT_THAT(explain({ObjectKind::kContainer, "web"}).paths,
              ElementsAre(ElementsAre("container \"web\"")));
}

TEST_F(CollectTest, AtMostSixteenPaths) {
  layer("base");
  for (int i = 0; i < 40; ++i)
    containers.create("ns", record("c" + std::to_string(i)), "{}", {}, {}, "base");
  EXPECT_EQ(explain(snapshot("base")).paths.size(), Why::kMostPaths);
}

// Each blob names all others: more paths than anybody can walk.
TEST_F(CollectTest, TheShortestPathThroughAClique) {
  const std::string letters = "0123456789ab";
  for (char one : letters) {
    Labels labels;
    for (char other : letters)
      if (other != one) labels[kContentRef + other] = digest(other);
    if (one == 'b') labels[kRoot] = "1";
    blob(one, labels);
  }
  Why why = explain(content('0'));
  EXPECT_TRUE(why.is_kept);
  EXPECT_THAT(why.paths, ElementsAre(ElementsAre(
                             "content \"" + digest('b') + "\", by its label " + kRoot,
                             "by the label " + kContentRef + "0: content \"" + digest('0') + '"')));
}

// What a flat lease holds keeps its parents, not what its labels name.
TEST_F(CollectTest, PathsThroughAFlatLease) {
  layer("base");
  layer("top", "base", {{kContentRef + "0", digest('a')}});
  blob('a');
  lease("flat", {snapshot("top")}, {{"containerd.io/gc.flat", "1"}});
  lease("whole", {snapshot("top")});
  EXPECT_EQ(explain(snapshot("base")).paths.size(), 2u);
  Why why = explain(content('a'));
  ASSERT_EQ(why.paths.size(), 1u);
  EXPECT_EQ(why.paths[0][0], "lease \"whole\"");
}

TEST_F(CollectTest, AChainOfFiftyThousand) {
  constexpr std::size_t kCount = 50'000;
  auto name = [](std::size_t i) {
    const std::string number = std::to_string(i);
    return "sha256:" + std::string(64 - number.size(), '0') + number;
  };
  containers.ledger()->change({}, [&](Changes& changes) {
    for (std::size_t i = 0; i < kCount; ++i) {
      Blob record;
      record.digest = name(i);
      if (i > 0) record.labels[kContentRef + "0"] = name(i - 1);
      if (i + 1 == kCount) record.labels[kRoot] = "1";
      changes.put(key_blob("ns", record.digest), encode(record));
    }
  });
  Why why = explain({ObjectKind::kContent, name(0)});
  EXPECT_TRUE(why.is_kept);
  ASSERT_EQ(why.paths.size(), 1u);
  EXPECT_EQ(why.paths[0].size(), kCount);
}

TEST_F(CollectTest, WhyItIsNotKept) {
  prepare("alone");
  prepare("held");
  lease("old", {snapshot("held")}, {{"containerd.io/gc.expire", "2026-01-01T00:00:00Z"}});
  EXPECT_EQ(explain(snapshot("alone")).hint, "nothing refers to it");
  EXPECT_EQ(explain(snapshot("held")).hint,
            "lease \"old\" held it, and expired at 2026-01-01T00:00:00Z");
  EXPECT_EQ(explain({ObjectKind::kLease, "old"}).hint, "it expired at 2026-01-01T00:00:00Z");
  EXPECT_THAT(explain(snapshot("held")).paths, IsEmpty());
}

}  // namespace
}  // namespace ctrd::metadata
