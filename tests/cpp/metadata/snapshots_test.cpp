// SPDX-License-Identifier: Apache-2.0
// semantics.md S9, row by row.
#include "metadata/snapshots.h"

#include "metadata/fixture.h"

namespace ctrd::metadata {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

struct SnapshotsTest : ContainersTest {
  Snapshot prepare(const std::string& key, const std::string& parent = "", Labels labels = {}) {
    return snapshots.prepare("ns", key, parent, std::move(labels), {});
  }
  Snapshot commit(const std::string& name, const std::string& key, const std::string& parent = "") {
    return snapshots.commit("ns", name, key, {}, {}, parent);
  }
  void layer(const std::string& name, const std::string& parent = "") {
    prepare(name + "-active", parent);
    commit(name, name + "-active");
  }
  std::vector<std::string> names(const std::vector<std::string>& filters = {}) {
    std::vector<std::string> all;
    for (const auto& [name, record] : snapshots.list("ns", Filter(filters), {}))
      all.push_back(name);
    return all;
  }
  std::vector<std::string> refs() {
    std::vector<std::string> all;
    for (const auto& key : keys())
      if (key.starts_with("ns/ref/")) all.push_back(key);
    return all;
  }
  Snapshots snapshots{containers.ledger(), "overlay"};
};

TEST_F(SnapshotsTest, TheBasicFlow) {
  Snapshot active = prepare("work", "", {{"a", "1"}, {"empty", ""}});
  EXPECT_EQ(active.kind, kActive);
  EXPECT_EQ(active.labels, (Labels{{"a", "1"}}));
  EXPECT_GT(active.created_ns, 0);
  Snapshot base = snapshots.commit("ns", "base", "work", {{"b", "2"}}, {});
  EXPECT_EQ(base.kind, kCommitted);
  EXPECT_EQ(base.number, active.number);
  EXPECT_EQ(base.labels, (Labels{{"b", "2"}}));  // those given, not inherited
  EXPECT_GE(base.created_ns, active.created_ns);
  EXPECT_EQ(code_of([&] { snapshots.stat("ns", "work", {}); }), Code::kNotFound);
  EXPECT_EQ(encode(snapshots.stat("ns", "base", {})), encode(base));
  EXPECT_EQ(prepare("next", "base").parent, "base");
  EXPECT_EQ(snapshots.view("ns", "look", "base", {}, {}).kind, kView);
  EXPECT_THAT(refs(), ElementsAre("ns/ref/snap/overlay/base/snap/look",
                                  "ns/ref/snap/overlay/base/snap/next"));
  commit("second", "next");
  EXPECT_THAT(refs(), ElementsAre("ns/ref/snap/overlay/base/snap/look",
                                  "ns/ref/snap/overlay/base/snap/second"));
  EXPECT_THAT(names(), ElementsAre("base", "look", "second"));
}

TEST_F(SnapshotsTest, WhatPrepareAndViewRefuse) {
  layer("base");
  prepare("active");
  snapshots.view("ns", "view", "base", {}, {});
  struct {
    const char* key;
    const char* parent;
    Code code;
  } rows[] = {
      {"base", "", Code::kAlreadyExists},       {"active", "base", Code::kAlreadyExists},
      {"view", "nobody", Code::kAlreadyExists}, {"x", "nobody", Code::kNotFound},
      {"x", "active", Code::kInvalidArgument},  {"x", "view", Code::kInvalidArgument},
      {"", "base", Code::kInvalidArgument},
  };
  auto before = keys();
  for (const auto& row : rows) {
    EXPECT_EQ(code_of([&] { prepare(row.key, row.parent); }), row.code) << row.key << row.parent;
    EXPECT_EQ(code_of([&] { snapshots.view("ns", row.key, row.parent, {}, {}); }), row.code);
  }
  EXPECT_EQ(code_of([&] {
              prepare("x", "", {{"k", std::string(4096, 'v')}});
            }),
            Code::kInvalidArgument);
  EXPECT_EQ(code_of([&] { prepare(std::string(1025, 'k')); }), Code::kInvalidArgument);
  EXPECT_EQ(code_of([&] { snapshots.prepare("", "x", "", {}, {}); }), Code::kFailedPrecondition);
  EXPECT_EQ(keys(), before);
}

TEST_F(SnapshotsTest, ARemoteSnapshotThatIsThereNeedNoPreparing) {
  layer("base");
  prepare("active");
  EXPECT_EQ(code_of([&] {
              prepare("x", "", {{kSnapshotRefLabel, "base"}});
            }),
            Code::kAlreadyExists);
  EXPECT_EQ(prepare("x", "", {{kSnapshotRefLabel, "active"}}).kind, kActive);
  EXPECT_EQ(prepare("y", "", {{kSnapshotRefLabel, "nobody"}}).kind, kActive);
}

TEST_F(SnapshotsTest, WhatCommitRefuses) {
  layer("base");
  layer("other");
  prepare("active", "base");
  snapshots.view("ns", "view", "base", {}, {});
  create("web", "ns");
  struct {
    const char* name;
    const char* key;
    const char* parent;
    Code code;
  } rows[] = {
      {"base", "active", "", Code::kAlreadyExists},
      {"active", "active", "", Code::kAlreadyExists},
      {"x", "nobody", "", Code::kNotFound},
      {"x", "view", "", Code::kFailedPrecondition},
      {"x", "base", "", Code::kFailedPrecondition},
      {"x", "web", "", Code::kFailedPrecondition},  // a container's
      {"x", "active", "other", Code::kInvalidArgument},
      {"", "active", "", Code::kInvalidArgument},
      {"x", "", "", Code::kInvalidArgument},
  };
  auto before = keys();
  for (const auto& row : rows)
    EXPECT_EQ(code_of([&] { commit(row.name, row.key, row.parent); }), row.code) << row.key;
  EXPECT_EQ(keys(), before);
  EXPECT_EQ(commit("same", "active", "base").parent, "base");
}

TEST_F(SnapshotsTest, AParentlessOneMayBeGivenAParent) {
  layer("base");
  prepare("active");
  EXPECT_EQ(code_of([&] { commit("x", "active", "nobody"); }), Code::kNotFound);
  prepare("other");
  EXPECT_EQ(code_of([&] { commit("x", "active", "other"); }), Code::kInvalidArgument);
  EXPECT_EQ(commit("x", "active", "base").parent, "base");
  EXPECT_THAT(refs(), ElementsAre("ns/ref/snap/overlay/base/snap/x"));
}

TEST_F(SnapshotsTest, OnlyWhatNothingStandsUponGoes) {
  layer("base");
  layer("a/b", "base");
  prepare("top", "a/b");
  create("web", "ns");
  EXPECT_EQ(code_of([&] { snapshots.remove("ns", "nobody", {}); }), Code::kNotFound);
  Error error = error_of([&] { snapshots.remove("ns", "base", {}); });
  EXPECT_EQ(error.code(), Code::kFailedPrecondition);
  EXPECT_THAT(error.message(), HasSubstr("\"a/b\""));
  EXPECT_EQ(code_of([&] { snapshots.remove("ns", "web", {}); }), Code::kFailedPrecondition);
  uint64_t number = snapshots.stat("ns", "top", {}).number;
  auto trash = snapshots.remove("ns", "top", {});
  ASSERT_EQ(trash.size(), 1u);
  EXPECT_EQ(trash[0].second.name, std::to_string(number));
  snapshots.remove("ns", "a/b", {});
  snapshots.remove("ns", "base", {});
  EXPECT_THAT(names(), ElementsAre("web"));
  EXPECT_THAT(refs(), ElementsAre("ns/ref/snap/overlay/web/c/web"));
  EXPECT_EQ(containers.trash({}).size(), 3u);
}

TEST_F(SnapshotsTest, UpdateChangesLabelsOnly) {
  prepare("x", "", {{"a", "1"}, {"b", "2"}});
  Snapshot now = snapshots.update("ns", "x", {{"a", "9"}, {"b", std::nullopt}, {"c", ""}}, {});
  EXPECT_EQ(now.labels, (Labels{{"a", "9"}}));
  EXPECT_GE(now.updated_ns, now.created_ns);
  auto fields = [&](std::vector<std::string> paths) {
    return snapshots.update("ns", "x", {{"n", "1"}, {"m", "2"}}, {}, std::move(paths)).labels;
  };
  EXPECT_EQ(fields({"labels.n"}), (Labels{{"a", "9"}, {"n", "1"}}));
  EXPECT_EQ(fields({"labels"}), (Labels{{"n", "1"}, {"m", "2"}}));
  for (const char* path : {"parent", "kind", "name", "labels.", "extensions", "image", ""})
    EXPECT_EQ(code_of([&] { fields({path}); }), Code::kInvalidArgument) << path;
  EXPECT_EQ(code_of([&] { snapshots.update("ns", "", {}, {}); }), Code::kInvalidArgument);
  EXPECT_EQ(code_of([&] { snapshots.update("ns", "nobody", {}, {}); }), Code::kNotFound);
  EXPECT_EQ(code_of([&] {
              snapshots.update("ns", "x", {{"k", std::string(4096, 'v')}}, {});
            }),
            Code::kInvalidArgument);
}

TEST_F(SnapshotsTest, ListFiltersInOrderOfKeys) {
  layer("base");
  prepare("a/b", "base", {{"env", "ci"}});
  prepare("a-b");
  prepare("a.b%");
  snapshots.view("ns", "look", "base", {}, {});
  snapshots.prepare("other", "elsewhere", "", {}, {});
  Snapshots(containers.ledger(), "native").prepare("ns", "a/b", "", {}, {});  // keys of its own
  EXPECT_THAT(names(), ElementsAre("a-b", "a.b%", "a/b", "base", "look"));
  EXPECT_THAT(names({"kind==view", "kind==committed"}), ElementsAre("base", "look"));
  EXPECT_THAT(names({"kind==active,parent==base"}), ElementsAre("a/b"));
  EXPECT_THAT(names({"name==\"a/b\""}), ElementsAre("a/b"));
  EXPECT_THAT(names({"labels.env"}), ElementsAre("a/b"));
  EXPECT_THAT(names({"parent"}), ElementsAre("a/b", "look"));
  EXPECT_THAT(names({"kind==Active"}), IsEmpty());
}

TEST_F(SnapshotsTest, OneThatHasChangedMeanwhileStays) {
  uint64_t first = prepare("work").number;
  commit("base", "work");
  uint64_t second = prepare("work").number;
  EXPECT_EQ(code_of([&] { snapshots.commit("ns", "x", "work", {}, {}, {}, first); }),
            Code::kAborted);
  EXPECT_EQ(code_of([&] { snapshots.remove("ns", "work", {}, first); }), Code::kAborted);
  EXPECT_EQ(snapshots.find("ns", "work", {})->number, second);
  EXPECT_FALSE(snapshots.find("ns", "nobody", {}));
  EXPECT_EQ(snapshots.commit("ns", "x", "work", {}, {}, {}, second).number, second);
}

TEST_F(SnapshotsTest, ContainersOfSnapshots) {
  layer("base");
  prepare("work", "base");
  auto create = [&](const std::string& id, const std::string& base) {
    Container made = record(id);
    made.rootfs.clear();
    return containers.create("ns", made, "{}", {}, {}, base).record;
  };
  EXPECT_EQ(create("one", "base").snapshot_key, "one");
  EXPECT_EQ(snapshots.stat("ns", "one", {}).parent, "base");
  EXPECT_EQ(create("two", "work").snapshot_number, snapshots.stat("ns", "work", {}).number);
  EXPECT_EQ(snapshots.holders("ns", {}),
            (std::map<std::string, std::string>{{"one", "one"}, {"work", "two"}}));
  EXPECT_EQ(snapshots.holder("ns", "work", {}), "two");
  EXPECT_EQ(snapshots.holder("ns", "base", {}), std::nullopt);
  for (const char* base : {"work", "one"})
    EXPECT_EQ(code_of([&] { create("three", base); }), Code::kFailedPrecondition) << base;
  EXPECT_EQ(code_of([&] { create("three", "nobody"); }), Code::kNotFound);
  ASSERT_TRUE(containers.remove("ns", "two", {}));  // its layer is trash
  EXPECT_EQ(names(), (std::vector<std::string>{"base", "one"}));
}

TEST_F(SnapshotsTest, ChainsOf128Layers) {
  std::string parent;
  for (int i = 0; i < 128; ++i) {
    std::string name = "layer" + std::to_string(i);
    layer(name, parent);
    parent = name;
  }
  prepare("top", parent);
  auto chain = snapshots.chain("ns", "top", {});
  ASSERT_EQ(chain.size(), 129u);
  EXPECT_EQ(chain[0].kind, kActive);
  EXPECT_EQ(chain[1].parent, "layer126");
  EXPECT_EQ(chain[128].parent, "");
  for (std::size_t i = 1; i < chain.size(); ++i) EXPECT_EQ(chain[i].kind, kCommitted);
}

TEST_F(SnapshotsTest, ABrokenChainIsDamage) {
  Snapshot ring;
  ring.kind = kCommitted;
  ring.parent = "ring";
  put(key_snapshot({"ns", "overlay", "ring"}), encode(ring));
  EXPECT_EQ(code_of([&] { snapshots.chain("ns", "ring", {}); }), Code::kDataLoss);
}

TEST_F(SnapshotsTest, AContainersLayerIsOneOfThem) {
  create("web", "ns");
  EXPECT_THAT(names(), ElementsAre("web"));
  EXPECT_EQ(code_of([&] { prepare("web"); }), Code::kAlreadyExists);
  prepare("mine");
  EXPECT_EQ(containers.update("ns", "web", {.snapshot_key = "mine"}, {}).snapshot_key, "mine");
  EXPECT_THAT(names(), ElementsAre("mine"));
  containers.remove("ns", "web", {});
  EXPECT_THAT(names(), IsEmpty());
  EXPECT_THAT(refs(), IsEmpty());
}

}  // namespace
}  // namespace ctrd::metadata
