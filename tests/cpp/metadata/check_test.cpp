// SPDX-License-Identifier: Apache-2.0
// Damage made by hand in the records: what is found, and what is left after a repair.
#include "metadata/check.h"

#include "metadata/content.h"
#include "metadata/fields.h"
#include "metadata/fixture.h"
#include "metadata/snapshots.h"

namespace ctrd::metadata {
namespace {

using Lines = std::vector<std::string>;

const std::string kBlob = "sha256:" + std::string(64, 'a');

// A container of its own layer, one upon a committed one, a blob, a lease that holds it.
struct CheckTest : ContainersTest {
  CheckTest() {
    Labels labels{{"containerd.io/gc.ref.content", kBlob}};
    create("own");
    Snapshots snapshots(containers.ledger(), kOverlay);
    snapshots.prepare("default", "work", "", {}, {});
    snapshots.commit("default", "base", "work", labels, {});
    containers.create("default", record("upon"), "{}", {}, {}, "base");
    ContentRecords(containers.ledger()).add("default", Blob{kBlob, 3, 0, 0, {}}, false, {});
    Leases leases(containers.ledger());
    leases.create("default", {.id = "a/b"}, {});
    leases.add("default", "a/b", {ObjectKind::kContent, kBlob}, {});
    disk.blobs[kBlob] = 3;
    disk.layers = {1, 2, 3};
    disk.state = "/run/state";
  }

  Checked check() {
    Checked checked;
    store->read({}, [&](const store::View& view) { checked = check_records(view, disk); });
    return checked;
  }
  static Lines lines(const Checked& checked) {
    Lines all;
    for (const Finding& one : checked.findings)
      all.push_back(one.problem + " " + one.kind + " " + one.key + (one.repairable ? "" : "!"));
    std::ranges::sort(all);
    return all;
  }
  void repair() {
    const Checked checked = check();
    store->write({}, [&](const store::View& view, store::Batch& batch) {
      repair_records(view, batch, disk, checked.lost);
    });
  }
  std::map<std::string, std::string> everything() {
    std::map<std::string, std::string> all;
    store->read({}, [&](const store::View& view) {
      view.scan("", "\xff", [&](std::string_view key, std::string_view value) {
        return all.emplace(key, value), true;
      });
    });
    return all;
  }

  DiskFacts disk;
};

TEST_F(CheckTest, OfRecordsThatAreWellFindsNothing) {
  EXPECT_EQ(lines(check()), Lines());
  const auto before = everything();
  repair();
  EXPECT_EQ(everything(), before);
}

TEST_F(CheckTest, ReverseKeys) {
  const auto before = everything();
  Lines found;
  for (const auto& [key, value] : before) {
    const bool is_reverse = key.find("/ref/") != key.npos || key.starts_with(".blob/");
    if (!is_reverse) continue;
    erase(key);
    found.push_back("missing reference " + key);
  }
  ASSERT_EQ(found.size(), 6u);  // two layers, a parent, a label, a lease, a blob
  EXPECT_EQ(lines(check()), found);
  repair();
  EXPECT_EQ(everything(), before);
  const Lines extra = {"default/bref/c/own/snap/overlay/x", "default/ref/blob/x/label/c/own",
                       "default/ref/owner/0000000000000001/c/own",
                       "default/ref/snap/overlay/base/snap/x"};
  for (const std::string& key : extra) put(key, "");
  EXPECT_EQ(check().findings.size(), extra.size());
  for (const Finding& one : check().findings) EXPECT_EQ(one.problem, "orphaned");
  repair();
  EXPECT_EQ(everything(), before);
}

TEST_F(CheckTest, WhatIsFoundAndWhatIsLeft) {
  const std::string bad = "\xff";
  Snapshot twin;
  twin.number = 2;
  struct {
    const char* what;
    std::function<void()> damage;
    Lines found, left;
  } rows[] = {
      {"a container that cannot be read",
       [&] { put("default/c/own", bad); },
       {"damaged container default/own", "orphaned reference default/ref/snap/overlay/own/c/own",
        "orphaned spec default/own"},
       {}},
      {"its layer's record cannot be read, and is made anew",
       [&] { put("default/snap/overlay/own", bad); },
       {"damaged snapshot default/overlay/own"},
       {}},
      {"its layer's record is lost",
       [&] { erase("default/snap/overlay/upon"); },
       {"dangling container default/upon"},
       {}},
      {"the record of a base cannot be read",
       [&] { put("default/snap/overlay/base", bad); },
       {"damaged snapshot default/overlay/base", "dangling snapshot default/overlay/upon!",
        "orphaned reference default/ref/blob/" + kBlob + "/label/snap/overlay/base"},
       {"dangling snapshot default/overlay/upon!"}},
      {"a blob's record cannot be read",
       [&] { put("default/blob/" + kBlob, bad); },
       {"damaged content default/" + kBlob},
       {}},
      {"no spec",
       [&] { erase("default/s/own"); },
       {"missing container default/own!"},
       {"missing container default/own!"}},
      {"a spec that is none",
       [&] { put("default/s/own", ""); },
       {"damaged spec default/own"},
       {"missing container default/own!"}},
      {"no namespace", [&] { erase(".ns/default"); }, {"missing namespace default"}, {}},
      {"a number that would be given out again",
       [&] { erase(".n/snap"); },
       {"damaged number snap"},
       {}},
      {"a number that cannot be read", [&] { put(".n/snap", bad); }, {"damaged number snap"}, {}},
      {"trash that cannot be read",
       [&] { put(".trash/0000000000000009", bad); },
       {"damaged trash 0000000000000009"},
       {}},
      {"an event that cannot be read",
       [&] { put(key_outbox(1), bad); },
       {"damaged event 0000000000000001"},
       {}},
      {"a lease that cannot be read",
       [&] { put(key_lease("default", "a/b"), bad); },
       {"damaged lease default/a%2Fb", "orphaned lease default/a/b",
        "orphaned reference default/ref/blob/" + kBlob + "/lease/a%2Fb"},
       {}},
      {"two layers with one directory",
       [&] { put("default/snap/overlay/x", encode(twin)); },
       {"damaged snapshot default/overlay/x!"},
       {"damaged snapshot default/overlay/x!"}},
  };
  const auto before = everything();
  for (const auto& row : rows) {
    SCOPED_TRACE(row.what);
    row.damage();
    EXPECT_EQ(lines(check()), row.found);
    repair();
    EXPECT_EQ(lines(check()), row.left);
    for (const auto& [key, value] : everything())
      if (!before.contains(key)) erase(key);
    for (const auto& [key, value] : before) put(key, value);
    EXPECT_EQ(lines(check()), Lines());
  }
}

TEST_F(CheckTest, WhatIsErasedWasHandedOut) {
  put("default/c/own", "\xff");
  const Checked checked = check();
  EXPECT_EQ(checked.lost.size(), 2u);
  EXPECT_EQ(checked.lost.at("default/c/own"), "\xff");
  EXPECT_FALSE(checked.hides_directories);
  store->write({}, [&](const store::View& view, store::Batch& batch) {
    repair_records(view, batch, disk, {});  // nothing was saved
  });
  EXPECT_TRUE(everything().contains("default/c/own"));
  EXPECT_TRUE(everything().contains("default/s/own"));
  put("default/snap/overlay/base", "\xff");
  EXPECT_TRUE(check().hides_directories);
}

TEST_F(CheckTest, NothingOfALivingTaskIsChanged) {
  disk.live = {{"default", "own"}};
  put("default/c/own", "\xff");
  const auto before = everything();
  EXPECT_EQ(lines(check()), Lines{"damaged container default/own!"});
  repair();
  EXPECT_EQ(everything(), before);
}

// After a lost database: what lives without a record has its number all the same.
TEST_F(CheckTest, ANumberOfADirectoryIsNotGivenOutAgain) {
  disk.layers.insert(7);
  disk.checkpoint = 5;
  disk.owner = 9;
  EXPECT_EQ(lines(check()), Lines());  // it is the disk's side that says so
  repair();
  EXPECT_EQ(everything()[key_number("snap")], encode_number(7));
  EXPECT_EQ(everything()[key_number("checkpoint")], encode_number(5));
  EXPECT_EQ(containers.new_owner({this_process(), "/run/state"}, {}), 10u);
}

// Nor one that a process, which goes on, will erase when it writes next.
TEST_F(CheckTest, ANewDatabaseHasNumbersBehindThose) {
  disk.layers = {7};
  disk.checkpoint = 5;
  disk.owner = 9;
  store->write(
      {}, [&](const store::View& view, store::Batch& first) { keep_numbers(view, first, disk); });
  EXPECT_EQ(everything()[key_number("snap")], encode_number(7));
  EXPECT_EQ(everything()[key_number("checkpoint")], encode_number(5));
  EXPECT_EQ(everything()[key_number("owner")], encode_number(9));
  create("web");
  EXPECT_GT(containers.remove("default", "web", {})->trash.at(0).first, uint64_t{1} << 40);
  EXPECT_EQ(lines(check()), Lines());
}

TEST_F(CheckTest, AnOwnerThatIsMissing) {
  Container mine = record("mine");
  mine.lifetime = Lifetime::kOwner;
  mine.owner = containers.new_owner({this_process(), "/run/state"}, {});
  mine.owner_process = this_process();
  containers.create("default", mine, "{}", {});
  const auto before = everything();
  erase(key_owner(mine.owner));
  EXPECT_EQ(lines(check()), Lines{"missing owner 1"});
  repair();
  EXPECT_EQ(everything(), before);
}

}  // namespace
}  // namespace ctrd::metadata
