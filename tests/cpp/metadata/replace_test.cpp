// SPDX-License-Identifier: Apache-2.0
// A container in the place of another: what goes with the old one, and what the new one keeps.
#include "metadata/replace.h"

#include <cctype>

#include "metadata/check.h"
#include "metadata/content.h"
#include "metadata/fixture.h"
#include "metadata/snapshots.h"

namespace ctrd::metadata {
namespace {

const std::string kDigest = "sha256:" + std::string(64, 'a');
const Labels kNamesBase{{"containerd.io/gc.ref.snapshot.overlay", "base"}};
const Labels kNamesOwn{{"containerd.io/gc.ref.snapshot.overlay", "web"}};
const Labels kNamesBlob{{"containerd.io/gc.ref.content.0", kDigest}};

// A container "web" in the place of one, with the snapshots base, work and web if it is its own.
struct ReplaceRow {
  const char* what;
  std::string old_base;
  Labels old_labels;
  std::string base;
  Labels labels;
  std::vector<std::string> left;
  bool has_blob = true;
};

struct ReplaceTest : ContainersTest {
  ReplaceTest() {
    snapshots.prepare("ns", "w", "", {}, {});
    snapshots.commit("ns", "base", "w", {}, {});
    snapshots.prepare("ns", "work", "", {}, {});
    Blob blob;
    blob.digest = kDigest;
    blobs.add("ns", blob, false, {}, "", "ref");
  }
  Created make(const std::string& base, const Labels& labels) {
    Container web = record("web");
    web.labels = labels;
    return containers.create(
        "ns", web, "{}", {}, [](const Container&) { return true; }, base);
  }
  std::vector<std::string> left() {
    std::vector<std::string> all;
    for (const auto& [key, one] : snapshots.list("ns", Filter(), {})) all.push_back(key);
    return all;
  }
  bool has_blob() { return blobs.find("ns", kDigest, {}).has_value(); }
  Snapshots snapshots{containers.ledger(), "overlay"};
  ContentRecords blobs{containers.ledger()};
};

struct ReplaceRowsTest : ReplaceTest, testing::WithParamInterface<ReplaceRow> {};

TEST_P(ReplaceRowsTest, WhatTheNewOneUsesStays) {
  const ReplaceRow& row = GetParam();
  make(row.old_base, row.old_labels);
  const auto created = make(row.base, row.labels);
  EXPECT_TRUE(created.replaced);
  EXPECT_EQ(left(), row.left);
  EXPECT_EQ(has_blob(), row.has_blob);
  const Container now = containers.get("ns", "web", {});
  EXPECT_EQ(now.snapshot_number, snapshots.stat("ns", now.snapshot_key, {}).number);
  store->read({}, [](const store::View& view) {
    for (const Finding& finding : check_records(view, {}).findings)
      EXPECT_NE(finding.kind, "reference") << finding.key << ": " << finding.detail;
  });
}

const std::vector<std::string> kAll{"base", "web", "work"};
INSTANTIATE_TEST_SUITE_P(
    Rows, ReplaceRowsTest,
    testing::Values(ReplaceRow{"nothing", "", {}, "", {}, kAll},
                    ReplaceRow{"the same base", "base", {}, "base", {}, kAll},
                    ReplaceRow{"a base that a label kept", "base", kNamesBase, "base", {}, kAll},
                    ReplaceRow{"a base no more", "base", kNamesBase, "", {}, {"web", "work"}},
                    ReplaceRow{"a label's snapshot", "", kNamesBase, "", kNamesBase, kAll},
                    ReplaceRow{"a label's blob", "", kNamesBlob, "", kNamesBlob, kAll},
                    ReplaceRow{"a blob no more", "", kNamesBlob, "", {}, kAll, false},
                    ReplaceRow{"the same active one", "work", {}, "work", {}, {"base", "work"}},
                    ReplaceRow{"an active one no more", "work", {}, "", {}, {"base", "web"}},
                    ReplaceRow{"the old one's layer", "", {}, "web", {}, kAll},
                    ReplaceRow{"the old one's layer by a label", "", {}, "work", kNamesOwn, kAll},
                    ReplaceRow{"its own layer by a label", "", kNamesOwn, "", kNamesOwn, kAll}),
    [](const auto& row) {
      std::string name;
      for (char c : std::string(row.param.what)) name += std::isalnum(c) ? c : '_';
      return name;
    });

TEST_F(ReplaceTest, WhatBackReferencesToItNameStays) {
  make("", {});
  blobs.update("ns", kDigest, {{"containerd.io/gc.bref.container", "web"}}, {});
  make("", {});
  EXPECT_TRUE(has_blob());
  containers.remove("ns", "web", {});
  EXPECT_FALSE(has_blob());
}

TEST_F(ReplaceTest, WhatCannotBeMadeReplacesNothing) {
  make("work", kNamesBlob);
  snapshots.view("ns", "view", "base", {}, {});
  containers.create("ns", record("other"), "{}", {});
  const auto before = keys();
  const auto check = [&](const std::string& base) {
    check_replace(*containers.ledger(), "ns", record("web"), "{}", {}, base);
  };
  struct {
    const char* base;
    Code code;
  } rows[] = {{"none", Code::kNotFound},
              {"view", Code::kFailedPrecondition},
              {"other", Code::kFailedPrecondition}};
  for (const auto& row : rows) {
    EXPECT_EQ(code_of([&] { make(row.base, {}); }), row.code) << row.base;
    EXPECT_EQ(code_of([&] { check(row.base); }), row.code) << row.base;
  }
  for (const char* base : {"", "base", "work"}) check(base);
  EXPECT_EQ(keys(), before);
  snapshots.prepare("ns", "web", "", {}, {});  // of the user's
  EXPECT_EQ(code_of([&] { check(""); }), Code::kAlreadyExists);
}

}  // namespace
}  // namespace ctrd::metadata
