// SPDX-License-Identifier: Apache-2.0
#include "oci/namespaces.h"

#include <gtest/gtest.h>

#include "oci/scratch.h"

namespace ctrd::oci {
namespace {

TEST(Namespaces, of_networks) {
  EXPECT_EQ(
      namespaces_json("none").dump(),
      R"([{"type":"pid"},{"type":"ipc"},{"type":"uts"},{"type":"mount"},{"type":"network"}])");
  EXPECT_EQ(namespaces_json("host").size(), 4u);
  EXPECT_EQ(error_of([] { namespaces_json("bridge"); }).find("field"), "network");
}

TEST(Namespaces, cgroup_once) {
  Json part = {{"namespaces", namespaces_json("none")}};
  add_cgroup_namespace(part);
  add_cgroup_namespace(part);
  EXPECT_EQ(part["namespaces"].size(), 6u);
  EXPECT_TRUE(is_namespace("cgroup"));
  EXPECT_FALSE(is_namespace("disk"));
}

}  // namespace
}  // namespace ctrd::oci
