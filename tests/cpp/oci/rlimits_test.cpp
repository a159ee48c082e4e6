// SPDX-License-Identifier: Apache-2.0
#include "oci/rlimits.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include "oci/scratch.h"

namespace ctrd::oci {
namespace {

TEST(Rlimits, default_and_given) {
  EXPECT_EQ(rlimits_json({}).dump(), R"([{"hard":1024,"soft":1024,"type":"RLIMIT_NOFILE"}])");
  SpecOptions options;
  options.rlimits = {{"nofile", {10, 20}}, {"RLIMIT_CORE", {0, 0}}};
  EXPECT_EQ(
      rlimits_json(options).dump(),
      R"([{"hard":0,"soft":0,"type":"RLIMIT_CORE"},{"hard":20,"soft":10,"type":"RLIMIT_NOFILE"}])");
}

TEST(Rlimits, bad_ones) {
  SpecOptions options;
  options.rlimits = {{"NOFILE", {20, 10}}};
  EXPECT_EQ(error_of([&] { rlimits_json(options); }).find("field"), "rlimits");
  options.rlimits = {{"FOO", {1, 1}}};
  EXPECT_EQ(error_of([&] { rlimits_json(options); }).find("value"), "FOO");
}

TEST(Rlimits, clamped_to_our_hard_limit) {
  rlimit ours{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &ours), 0);
  Json limits = Json::array({{{"type", "RLIMIT_NOFILE"}, {"soft", ~0ull}, {"hard", ~0ull}},
                             {{"type", "RLIMIT_NOFILE"}, {"soft", 3}, {"hard", 5}}});
  clamp_rlimits(limits);
  EXPECT_EQ(limits[0]["soft"].get<uint64_t>(), ours.rlim_max);
  EXPECT_EQ(limits[0]["hard"].get<uint64_t>(), ours.rlim_max);
  EXPECT_EQ(limits[1]["hard"], 5);
}

}  // namespace
}  // namespace ctrd::oci
