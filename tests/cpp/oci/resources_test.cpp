// SPDX-License-Identifier: Apache-2.0
#include "oci/resources.h"

#include <gtest/gtest.h>

#include <cmath>

#include "oci/scratch.h"

namespace ctrd::oci {
namespace {

TEST(Resources, defaults) {
  Json json = resources_json({});
  EXPECT_EQ(json["pids"]["limit"], 2048);
  EXPECT_FALSE(json.contains("memory"));
  EXPECT_FALSE(json.contains("cpu"));
  EXPECT_EQ(json["devices"].size(), 10u);
  EXPECT_EQ(json["devices"][0].dump(), R"({"access":"rwm","allow":false})");
  EXPECT_EQ(json["devices"][1].dump(),
            R"({"access":"rwm","allow":true,"major":1,"minor":3,"type":"c"})");
}

TEST(Resources, given) {
  Json json = resources_json({.memory_bytes = 1 << 20,
                              .swap_bytes = 2 << 20,
                              .pids = -1,
                              .cpus = 0.5,
                              .cpu_weight = 100,
                              .cpuset_cpus = "0-1",
                              .cpuset_mems = "0"});
  EXPECT_EQ(json["memory"].dump(), R"({"limit":1048576,"swap":2097152})");
  EXPECT_FALSE(json.contains("pids"));  // no limit is no entry
  EXPECT_EQ(json["cpu"].dump(),
            R"({"cpus":"0-1","mems":"0","period":100000,"quota":50000,"shares":2598})");
}

// On cgroup v2 both runtimes compute 1 + (shares - 2) * 9999 / 262142.
TEST(Resources, a_weight_comes_back_from_its_shares) {
  for (int64_t weight = 1; weight <= 10000; ++weight) {
    ResourceOptions options;
    options.cpu_weight = weight;
    int64_t shares = resources_json(options)["cpu"]["shares"].get<int64_t>();
    EXPECT_EQ(1 + (shares - 2) * 9999 / 262142, weight);
    EXPECT_LE(shares, 262144);
  }
}

void expect_refused(const ResourceOptions& options, const char* field) {
  Error error = error_of([&] { resources_json(options); });
  EXPECT_EQ(error.code(), Code::kInvalidArgument);
  EXPECT_EQ(error.find("field"), field);
}

TEST(Resources, bad_ones) {
  for (int64_t bad : {int64_t{0}, int64_t{-2}}) {
    expect_refused({.memory_bytes = bad,
                    .swap_bytes = {},
                    .pids = {},
                    .cpus = {},
                    .cpu_weight = {},
                    .cpuset_cpus = {},
                    .cpuset_mems = {}},
                   "memory");
    ResourceOptions options;
    options.pids = bad;
    expect_refused(options, "pids");
  }
  for (double bad : {0.0, -0.5, -2.0, 0.001, 1e7, std::nan(""), HUGE_VAL}) {
    ResourceOptions options;
    options.cpus = bad;
    expect_refused(options, "cpus");
  }
  ResourceOptions weight, cpus, swap, less;
  weight.cpu_weight = 10001;
  cpus.cpuset_cpus = "a";
  swap.swap_bytes = 5;
  less.memory_bytes = 10;
  less.swap_bytes = 5;
  expect_refused(weight, "cpu_weight");
  expect_refused(cpus, "cpuset_cpus");
  expect_refused(swap, "swap");
  expect_refused(less, "swap");
}

}  // namespace
}  // namespace ctrd::oci
