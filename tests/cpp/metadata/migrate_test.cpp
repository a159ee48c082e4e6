// SPDX-License-Identifier: Apache-2.0
// Stores as earlier versions left them.
#include "metadata/migrate.h"

#include <fstream>

#include "metadata/check.h"
#include "metadata/checkpoints.h"
#include "metadata/content.h"
#include "metadata/fields.h"
#include "metadata/fixture.h"
#include "metadata/namespaces.h"
#include "metadata/snapshots.h"

namespace ctrd::metadata {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::string version(uint64_t n) { return FieldWriter().add(1, n).take(); }

// "\\xNN" is a byte.
std::string unescaped(const std::string& text) {
  std::string bytes;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const bool is_escaped = text[at] == '\\';
    bytes +=
        is_escaped ? static_cast<char>(std::stoi(text.substr(at + 2, 2), nullptr, 16)) : text[at];
    if (is_escaped) at += 3;
  }
  return bytes;
}

struct MigrateTest : ContainersTest {
  // What the code of that time wrote, byte by byte.
  void load_golden(const std::string& name) {
    std::ifstream file(CTRD_SOURCE_DIR "/tests/cpp/metadata/golden/" + name);
    ASSERT_TRUE(file);
    for (std::string line; std::getline(file, line);) {
      if (line.starts_with('#')) continue;
      const std::size_t space = line.find(' ');
      put(unescaped(line.substr(0, space)), unescaped(line.substr(space + 1)));
    }
  }
  // As everything is now, the reverse keys too.
  void expect_well(const DiskFacts& disk) {
    store->read({}, [&](const store::View& view) {
      for (const Finding& one : check_records(view, disk).findings)
        ADD_FAILURE() << one.kind << " " << one.key << " " << one.problem << ": " << one.detail;
    });
  }
  // What version 1 wrote for one container.
  void version_1(const std::string& ns, const std::string& id) {
    Snapshot snapshot;
    snapshot.number = 7;
    put(".v", version(1));
    put(key_container(ns, id), encode(record(id)));
    put(key_spec(ns, id), pack_spec("{}"));
    put(ns + "/snap/" + id, encode(snapshot));
    put(ns + "/ref/snap/" + id + "/c/" + id, "");
  }
  std::string found(const std::string& key) {
    std::string value;
    store->read({}, [&](const store::View& view) { value = view.find(key).value_or("none"); });
    return value;
  }
  const State state{"token", "boot", "/run/a"};
  Namespaces namespaces{containers.ledger()};
};

TEST_F(MigrateTest, From1NamespacesBecomeRecords) {
  version_1("default", "web");
  version_1("a", "x");
  version_1("a", "y");
  version_1("a-b", "x");
  EXPECT_THAT(namespaces.list({}), IsEmpty());
  containers.check_state(state, {});
  EXPECT_THAT(namespaces.list({}), ElementsAre("a", "a-b", "default"));
  EXPECT_EQ(found(".v"), version(kSchemaVersion));
  EXPECT_EQ(containers.get_full("default", "web", {}).spec, "{}");
  EXPECT_THAT(ids(containers.list("a", {})), ElementsAre("x", "y"));
  EXPECT_NE(found("a/snap/overlay/x"), "none");
  EXPECT_EQ(found("a/snap/x"), "none");
  EXPECT_EQ(found("a/ref/snap/overlay/x/c/x"), "");
  EXPECT_EQ(found("a/ref/snap/x/c/x"), "none");
  auto before = keys();
  containers.check_state(state, {});
  EXPECT_EQ(keys(), before);
  containers.remove("a-b", "x", {});
  EXPECT_EQ(code_of([&] { namespaces.remove("a", {}); }), Code::kFailedPrecondition);
}

TEST_F(MigrateTest, FromTheBytesOf1) {
  load_golden("schema1.txt");
  containers.check_state(state, {});
  expect_well({});
  EXPECT_THAT(namespaces.list({}), ElementsAre("a", "a-b", "default"));
  const Full web = containers.get_full("default", "web", {});
  EXPECT_EQ(web.spec, "{\"ociVersion\":\"1.1.0\"}");
  EXPECT_EQ(web.record.image, "docker.io/library/busybox:1");
  EXPECT_EQ(web.record.labels.at("tier"), "front");
  EXPECT_EQ(web.record.lifetime, Lifetime::kDetached);
  EXPECT_EQ(containers.get_full("a", "x.y", {}).spec,
            "{" + std::string(5000, ' ') + "}");  // packed
  const Container mine = containers.get("a-b", "mine", {});
  EXPECT_EQ(mine.on_exit, OnExit::kDelete);
  EXPECT_EQ(mine.owner_process, (ProcessKey{7, 8, "boot"}));
  EXPECT_EQ(containers.owned(1, {}).size(), 1u);
  const auto chain = Snapshots(containers.ledger(), kOverlay).chain("default", "web", {});
  ASSERT_EQ(chain.size(), 1u);
  EXPECT_EQ(chain[0].number, 1u);
  EXPECT_EQ(chain[0].bottom, "/srv/root");
  ASSERT_EQ(containers.trash({}).size(), 1u);
  EXPECT_EQ(containers.trash({})[0].second.name, "3");
  EXPECT_EQ(containers.create("default", record("next"), "{}", {}).record.snapshot_number, 5u);
  EXPECT_EQ(containers.remove("default", "web", {})->trash.size(), 1u);
  expect_well({});
}

TEST_F(MigrateTest, FromTheBytesOf2) {
  load_golden("schema2.txt");
  const std::string digest = "sha256:" + std::string(64, 'a');
  containers.check_state(state, {});
  DiskFacts disk;
  disk.blobs[digest] = 3;
  expect_well(disk);
  EXPECT_THAT(namespaces.list({}), ElementsAre("default", "other"));
  EXPECT_EQ(namespaces.labels("other", {}).at("team"), "blue");
  Snapshots native(containers.ledger(), kNative);
  EXPECT_EQ(native.stat("default", "base/1", {}).kind, kCommitted);
  EXPECT_EQ(native.chain("default", "k/2", {}).size(), 2u);
  EXPECT_EQ(native.stat("default", "v%", {}).kind, kView);
  const Checkpoint point = Checkpoints(containers.ledger()).get("default", "c1", {});
  EXPECT_EQ(point.images, "3 ab pages-1.img\n");
  EXPECT_EQ(point.container_id, "web");
  ContentRecords content(containers.ledger());
  EXPECT_EQ(content.get("default", digest, {}).size, 3u);
  EXPECT_NE(found("default/bref/blob/" + digest + "/snap/native/base%2F1"), "none");
  EXPECT_NE(found("default/ref/snap/native/base%2F1/label/blob/" + digest), "none");
  EXPECT_NE(found("default/ref/blob/" + digest + "/label/cp/c1"), "none");
  content.remove("other", digest, {});
  expect_well(disk);
}

const char* const kContentLabel = "containerd.io/gc.ref.content.config";
const std::string kDigest = "sha256:" + std::string(64, 'a');

TEST_F(MigrateTest, From2LabelsGetReverseKeys) {
  Container web = record("web");
  web.labels = {{kContentLabel, kDigest}};
  Snapshot snapshot;
  snapshot.labels = {{"containerd.io/gc.bref.content", kDigest}};
  Blob blob;
  blob.labels = {{"containerd.io/gc.ref.snapshot.overlay", "k/1"}};
  put(".v", version(2));
  put(".ns/default", encode(Namespace{}));
  put("default/c/web", encode(web));
  put("default/snap/native/k%2F1", encode(snapshot));
  put("default/blob/" + kDigest, encode(blob));
  containers.check_state(state, {});
  EXPECT_EQ(found("default/ref/blob/" + kDigest + "/label/c/web"), "");
  EXPECT_EQ(found("default/bref/blob/" + kDigest + "/snap/native/k%2F1"), "");
  EXPECT_EQ(found("default/ref/snap/overlay/k%2F1/label/blob/" + kDigest), "");
  EXPECT_EQ(found(".v"), version(kSchemaVersion));
}

TEST_F(MigrateTest, From1TheKeysOfASnapshotsLabelsAreOverlays) {
  version_1("a", "x");
  Snapshot snapshot;
  snapshot.labels = {{kContentLabel, kDigest}};
  put("a/snap/x", encode(snapshot));
  containers.check_state(state, {});
  EXPECT_EQ(found("a/ref/blob/" + kDigest + "/label/snap/overlay/x"), "");
}

TEST_F(MigrateTest, AnEmptyOneAndANewOneHaveTheVersionOnly) {
  containers.check_state(state, {});
  EXPECT_EQ(found(".v"), version(kSchemaVersion));
  put(".v", version(1));
  containers.check_state(state, {});
  EXPECT_EQ(found(".v"), version(kSchemaVersion));
  EXPECT_THAT(namespaces.list({}), IsEmpty());
}

TEST_F(MigrateTest, ANewerOneIsLeftAsItIs) {
  for (uint64_t wrong : {uint64_t{0}, kSchemaVersion + 1, ~uint64_t{0}}) {
    put(".v", version(wrong));
    auto before = keys();
    Error error = error_of([&] { containers.check_state(state, {}); });
    EXPECT_EQ(error.code(), Code::kFailedPrecondition);
    EXPECT_EQ(error.kind(), Kind::kRoot);
    EXPECT_EQ(keys(), before);
  }
}

}  // namespace
}  // namespace ctrd::metadata
