// SPDX-License-Identifier: Apache-2.0
#include "oci/update.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "oci/json.h"
#include "oci/scratch.h"
#include "oci/spec.h"

namespace ctrd::oci {
namespace {

using testing::Contains;
using testing::IsSupersetOf;
using testing::Not;

std::string spec_of(const ResourceOptions& resources) {
  SpecOptions options;
  options.args = {"true"};
  options.resources = resources;
  return make_spec(options, "box", "/ctrd-a-b-c", -1);
}

Json resources_of(const std::string& spec) { return Json::parse(spec)["linux"]["resources"]; }

std::vector<std::string> lines(const std::vector<Control>& controls) {
  std::vector<std::string> texts;
  for (const Control& control : controls) texts.push_back(control.file + "=" + control.value);
  return texts;
}

TEST(Update, names_only_what_changes) {
  std::string spec = spec_of({.memory_bytes = 64 << 20, .cpus = 0.5});
  auto update = update_resources(spec, {.pids = 7});
  EXPECT_EQ(update.resources, R"({"pids":{"limit":7}})");
  Json made = resources_of(update.spec);
  EXPECT_EQ(made["memory"]["limit"], 64 << 20);
  EXPECT_EQ(made["cpu"]["quota"], 50000);
  EXPECT_EQ(made["pids"]["limit"], 7);
  EXPECT_EQ(made["devices"].size(), 10u);
}

TEST(Update, memory_and_swap) {
  std::string spec = spec_of({.memory_bytes = 64 << 20, .swap_bytes = 128 << 20});
  auto update = update_resources(spec, {.memory_bytes = 96 << 20});
  EXPECT_EQ(update.resources, R"({"memory":{"limit":100663296,"swap":134217728}})");
  update = update_resources(spec, {.memory_bytes = -1});
  EXPECT_EQ(update.resources, R"({"memory":{"limit":-1,"swap":-1}})");
  EXPECT_FALSE(resources_of(update.spec).contains("memory"));
  update = update_resources(spec, {.swap_bytes = -1});
  EXPECT_EQ(update.resources, R"({"memory":{"limit":67108864,"swap":-1}})");
}

TEST(Update, what_is_lifted_is_written) {
  std::string spec = spec_of({.cpus = 1});
  auto update = update_resources(spec, {.pids = -1, .cpus = -1.0});
  EXPECT_EQ(update.resources, "{}");
  EXPECT_THAT(lines(update.controls),
              IsSupersetOf({"pids.max=max", "cpu.cfs_quota_us=-1", "cpu.max=max"}));
  Json made = resources_of(update.spec);
  EXPECT_FALSE(made.contains("pids"));
  EXPECT_FALSE(made.contains("cpu"));
  // A later update must not bring back what the runtime remembers from creation.
  EXPECT_THAT(lines(update_resources(update.spec, {.memory_bytes = 64 << 20}).controls),
              Contains("pids.max=max"));
  EXPECT_THAT(lines(update_resources(spec, {.memory_bytes = 64 << 20}).controls),
              Not(Contains("pids.max=max")));
}

TEST(Update, block_devices) {
  std::string spec = spec_of({.io = {{.device = "/dev/loop0", .read_bps = 1000, .write_iops = 5},
                                     {.device = "7:1", .read_bps = 9}}});
  auto update =
      update_resources(spec, {.io = {{.device = "7:0", .read_bps = -1, .write_bps = 70}}});
  EXPECT_EQ(resources_of(update.spec)["blockIO"].dump(),
            R"({"throttleReadBpsDevice":[{"major":7,"minor":1,"rate":9}],)"
            R"("throttleWriteBpsDevice":[{"major":7,"minor":0,"rate":70}],)"
            R"("throttleWriteIOPSDevice":[{"major":7,"minor":0,"rate":5}]})");
  EXPECT_THAT(lines(update.controls),
              IsSupersetOf({"blkio.throttle.read_bps_device=7:0 0", "io.max=7:0 rbps=max",
                            "blkio.throttle.write_bps_device=7:0 70", "io.max=7:0 wbps=70",
                            "io.max=7:0 wiops=5", "io.max=7:1 rbps=9"}));
  EXPECT_THAT(lines(update.undo),
              IsSupersetOf({"io.max=7:0 rbps=1000", "blkio.throttle.write_bps_device=7:0 0"}));
}

// runc 1.1 writes again all that it was told at creation.
TEST(Update, what_the_runtime_remembers_is_lifted) {
  std::string created = spec_of({.io = {{.device = "7:0", .read_bps = 1000}}});
  std::string spec =
      update_resources(created, {.io = {{.device = "7:0", .read_bps = -1}}}, created).spec;
  EXPECT_THAT(lines(update_resources(spec, {.pids = 7}, created).controls),
              IsSupersetOf({"blkio.throttle.read_bps_device=7:0 0", "io.max=7:0 rbps=max"}));
  EXPECT_THAT(lines(update_resources(spec, {.pids = 7}).controls),
              Not(Contains("io.max=7:0 rbps=max")));
}

TEST(Update, bad_ones) {
  std::string spec = spec_of({.memory_bytes = 64 << 20, .swap_bytes = 64 << 20});
  auto refused = [&](const ResourceOptions& changes) {
    Error error = error_of([&] { update_resources(spec, changes); });
    return std::string(code_name(error.code())) + " " + std::string(error.find("field"));
  };
  EXPECT_EQ(refused({.memory_bytes = 0}), "invalid_argument memory");
  EXPECT_EQ(refused({.memory_bytes = 128 << 20}), "invalid_argument swap");
  EXPECT_EQ(refused({.pids = 0}), "invalid_argument pids");
  EXPECT_EQ(refused({.cpus = 0.0}), "invalid_argument cpus");
  EXPECT_EQ(refused({.cpu_weight = 0}), "invalid_argument cpu_weight");
  EXPECT_EQ(refused({.cpuset_cpus = "x"}), "invalid_argument cpuset_cpus");
  EXPECT_EQ(refused({.io = {{.device = "/dev/null", .read_bps = 1}}}), "invalid_argument io");
  EXPECT_EQ(refused({.io = {{.device = "/dev/nosuch", .read_bps = 1}}}), "not_found io");
  EXPECT_EQ(refused({.io = {{.device = "loop0", .read_bps = 1}}}), "invalid_argument io");
  EXPECT_EQ(refused({.io = {{.device = "1:"}}}), "invalid_argument io");
  EXPECT_EQ(refused({.io = {{.device = "999:0", .read_bps = 1}}}), "invalid_argument io");
  EXPECT_EQ(refused({.io = {{.device = "7:0"}}}), "invalid_argument io");
  EXPECT_EQ(refused({.io = {{.device = "7:0", .read_bps = 0}}}), "invalid_argument io");
  EXPECT_EQ(refused({.io = {{.device = "7:0", .weight = 9}}}), "invalid_argument io");
  EXPECT_EQ(refused({.io = {{.device = "*", .read_bps = 9, .weight = 100}}}),
            "invalid_argument io");
  EXPECT_EQ(update_resources(spec, {.io = {{.device = "*", .weight = 100}}}).resources,
            R"({"blockIO":{"weight":100}})");
}

}  // namespace
}  // namespace ctrd::oci
