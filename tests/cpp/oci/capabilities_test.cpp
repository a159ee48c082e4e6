// SPDX-License-Identifier: Apache-2.0
#include "oci/capabilities.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>

#include "oci/scratch.h"

namespace ctrd::oci {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Not;

TEST(Capabilities, default_fourteen) {
  auto names = capabilities({}, {});
  EXPECT_EQ(names.size(), 14u);
  EXPECT_THAT(names, Contains("CAP_CHOWN"));
  EXPECT_THAT(names, Not(Contains("CAP_SYS_ADMIN")));
}

TEST(Capabilities, add_and_drop) {
  EXPECT_THAT(capabilities({"net_admin"}, {}), Contains("CAP_NET_ADMIN"));
  EXPECT_THAT(capabilities({}, {"CAP_CHOWN"}), Not(Contains("CAP_CHOWN")));
  EXPECT_THAT(capabilities({"KILL", "CAP_CHOWN"}, {"ALL"}), ElementsAre("CAP_CHOWN", "CAP_KILL"));
  EXPECT_THAT(capabilities({}, {"all"}), ElementsAre());
  int held = 0;  // by this machine's root: often not all
  for (int number = 0; number <= 40; ++number) held += ::prctl(PR_CAPBSET_READ, number, 0, 0, 0);
  EXPECT_EQ(capabilities({"ALL"}, {}).size(), static_cast<std::size_t>(held));
  EXPECT_EQ(capabilities({"ALL"}, {"SYS_ADMIN", "CHOWN"}).size(),
            static_cast<std::size_t>(held - 2));
  EXPECT_EQ(capabilities({"CHOWN", "CAP_CHOWN"}, {}).size(), 14u);
}

TEST(Capabilities, unknown_names) {
  for (const char* bad : {"", "FOO", "CAP_", "CAP_CAP_CHOWN", "CHOWN "}) {
    EXPECT_EQ(error_of([&] { capabilities({bad}, {}); }).find("field"), "cap_add") << bad;
    EXPECT_EQ(error_of([&] { capabilities({}, {bad}); }).find("field"), "cap_drop") << bad;
  }
  EXPECT_FALSE(is_capability("CHOWN"));
}

}  // namespace
}  // namespace ctrd::oci
