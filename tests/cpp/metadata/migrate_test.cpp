// SPDX-License-Identifier: Apache-2.0
// Stores as earlier versions left them.
#include "metadata/migrate.h"

#include "metadata/fields.h"
#include "metadata/fixture.h"
#include "metadata/namespaces.h"

namespace ctrd::metadata {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::string version(uint64_t n) { return FieldWriter().add(1, n).take(); }

struct MigrateTest : ContainersTest {
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
