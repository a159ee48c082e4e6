// SPDX-License-Identifier: Apache-2.0
#include "metadata/schema.h"

#include <gtest/gtest.h>

namespace ctrd::metadata {
namespace {

// A change here is a migration: raise kSchemaVersion.
TEST(Schema, KeysAreAsWrittenDown) {
  EXPECT_EQ(kSchemaVersion, 2u);
  EXPECT_EQ(key_version(), ".v");
  EXPECT_EQ(key_state(), ".state");
  EXPECT_EQ(key_number("snap"), ".n/snap");
  EXPECT_EQ(key_namespace("ci"), ".ns/ci");
  EXPECT_EQ(key_trash(255), ".trash/00000000000000ff");
  EXPECT_EQ(key_owner(~0ull), ".owner/ffffffffffffffff");
  EXPECT_EQ(key_container("ns", "id"), "ns/c/id");
  EXPECT_EQ(key_spec("ns", "id"), "ns/s/id");
  EXPECT_EQ(key_snapshot("ns", "a/b%c"), "ns/snap/a%2Fb%25c");
  EXPECT_EQ(key_snapshot_ref("ns", "a/b", "c", "id"), "ns/ref/snap/a%2Fb/c/id");
  EXPECT_EQ(key_snapshot_ref("ns", "k", "snap", "x/y"), "ns/ref/snap/k/snap/x%2Fy");
  EXPECT_EQ(key_owner_ref("ns", 1, "id"), "ns/ref/owner/0000000000000001/c/id");
}

TEST(Schema, PrefixesLeadToTheirKeys) {
  EXPECT_TRUE(key_container("ns", "id").starts_with(container_prefix("ns")));
  EXPECT_TRUE(key_trash(1).starts_with(trash_prefix()));
  EXPECT_TRUE(key_owner(1).starts_with(owner_prefix()));
  EXPECT_TRUE(key_owner_ref("ns", 1, "id").starts_with(owner_ref_prefix("ns", 1)));
  EXPECT_TRUE(key_snapshot_ref("ns", "k", "c", "id").starts_with(snapshot_ref_prefix("ns", "k")));
  EXPECT_FALSE(key_snapshot_ref("ns", "kk", "c", "id").starts_with(snapshot_ref_prefix("ns", "k")));
}

TEST(Schema, KeysAreReadBack) {
  EXPECT_EQ(id_of(key_container("ns", "id")), "id");
  EXPECT_EQ(number_of(key_trash(0xabcdef)), 0xabcdefu);
  EXPECT_EQ(number_of(".trash/xyz"), std::nullopt);
  EXPECT_EQ(number_of(".trash/"), std::nullopt);
}

}  // namespace
}  // namespace ctrd::metadata
