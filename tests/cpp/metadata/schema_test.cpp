// SPDX-License-Identifier: Apache-2.0
#include "metadata/schema.h"

#include <gtest/gtest.h>

namespace ctrd::metadata {
namespace {

// A change here is a migration: raise kSchemaVersion.
TEST(Schema, KeysAreAsWrittenDown) {
  EXPECT_EQ(kSchemaVersion, 3u);
  EXPECT_EQ(key_version(), ".v");
  EXPECT_EQ(key_state(), ".state");
  EXPECT_EQ(key_number("snap"), ".n/snap");
  EXPECT_EQ(key_namespace("ci"), ".ns/ci");
  EXPECT_EQ(key_trash(255), ".trash/00000000000000ff");
  EXPECT_EQ(key_owner(~0ull), ".owner/ffffffffffffffff");
  EXPECT_EQ(key_container("ns", "id"), "ns/c/id");
  EXPECT_EQ(key_spec("ns", "id"), "ns/s/id");
  EXPECT_EQ(key_snapshot({"ns", "overlay", "a/b%c"}), "ns/snap/overlay/a%2Fb%25c");
  EXPECT_EQ(key_snapshot_ref({"ns", "o", "a/b"}, "c", "id"), "ns/ref/snap/o/a%2Fb/c/id");
  EXPECT_EQ(key_snapshot_ref({"ns", "o", "k"}, "snap", "x/y"), "ns/ref/snap/o/k/snap/x%2Fy");
  EXPECT_EQ(key_owner_ref("ns", 1, "id"), "ns/ref/owner/0000000000000001/c/id");
  EXPECT_EQ(key_owner_lease("ns", 1, "a/b"), "ns/ref/owner/0000000000000001/lease/a%2Fb");
  EXPECT_EQ(key_checkpoint("ns", "warm"), "ns/cp/warm");
  EXPECT_EQ(key_trusted("sha256:0"), ".cp/sha256:0");
  EXPECT_EQ(key_lease("ns", "a/b"), "ns/lease/a%2Fb");
  EXPECT_EQ(key_held("ns", "a/b", "snap/o/k"), "ns/held/a%2Fb/snap/o/k");
  EXPECT_EQ(ref_prefix("ns", "snap/o/k"), snapshot_ref_prefix({"ns", "o", "k"}));
  EXPECT_EQ(key_bref("ns", "c/id", "snap/o/k"), "ns/bref/c/id/snap/o/k");
}

TEST(Schema, PrefixesLeadToTheirKeys) {
  EXPECT_TRUE(key_container("ns", "id").starts_with(container_prefix("ns")));
  EXPECT_TRUE(key_trash(1).starts_with(trash_prefix()));
  EXPECT_TRUE(key_owner(1).starts_with(owner_prefix()));
  EXPECT_TRUE(key_owner_ref("ns", 1, "id").starts_with(owner_ref_prefix("ns", 1)));
  EXPECT_TRUE(key_snapshot_ref({"ns", "o", "k"}, "c", "id")
                  .starts_with(snapshot_ref_prefix({"ns", "o", "k"})));
  EXPECT_FALSE(key_snapshot_ref({"ns", "o", "kk"}, "c", "id")
                   .starts_with(snapshot_ref_prefix({"ns", "o", "k"})));
}

TEST(Schema, KeysAreReadBack) {
  EXPECT_EQ(id_of(key_container("ns", "id")), "id");
  for (const char* key : {"a/b%c", "%2F", "%25%2F/", "", "%"})
    EXPECT_EQ(unescaped_key(id_of(key_snapshot({"ns", "o", key}))), key);
  EXPECT_EQ(number_of(key_trash(0xabcdef)), 0xabcdefu);
  EXPECT_EQ(number_of(".trash/xyz"), std::nullopt);
  EXPECT_EQ(number_of(".trash/"), std::nullopt);
}

}  // namespace
}  // namespace ctrd::metadata
