// SPDX-License-Identifier: Apache-2.0
#include "engine/other_stats.h"

#include <gtest/gtest.h>

#include "api/metrics.h"
#include "base/error.h"

namespace ctrd::engine {
namespace {

constexpr uint64_t kAllOnes = ~uint64_t{0};

CgroupStats seen(const api::MetricsV1& metrics) {
  return stats_of("shim", {std::string(api::kMetricsV1Type), api::encode(metrics)});
}

CgroupStats seen(const api::MetricsV2& metrics) {
  return stats_of("shim",
                  {"types.example/" + std::string(api::kMetricsV2Type), api::encode(metrics)});
}

TEST(OtherStats, OfV1) {
  api::MetricsV1 m;
  m.cpu.usage = {
      .total = 3'500'000'000, .kernel = 500'000'000, .user = 3'000'000'000, .per_cpu = {}};
  m.cpu.throttling.throttled_time = 250'000'000;
  m.memory.stat[api::place_of("total_cache", api::kMemoryWordsV1)] = 7;
  m.memory.usage = {.limit = 64 << 20, .usage = 1000, .max = 2000, .failcnt = 0};
  m.memory.swap = {.limit = 128 << 20, .usage = 1500, .max = 0, .failcnt = 0};
  m.memory_oom_control.oom_kill = 2;
  m.pids = {.current = 3, .limit = 50};
  m.blkio.lists[0] = {{.op = "Read", .device = "", .major = 8, .minor = 0, .value = 4096},
                      {.op = "Write", .device = "", .major = 8, .minor = 0, .value = 10},
                      {.op = "Read", .device = "", .major = 8, .minor = 16, .value = 4},
                      {.op = "Total", .device = "", .major = 8, .minor = 0, .value = 99}};
  m.blkio.lists[1] = {{.op = "Read", .device = "", .major = 8, .minor = 0, .value = 5}};
  CgroupStats stats = seen(m);
  EXPECT_GT(stats.time_ns, 0);
  EXPECT_EQ(stats.cpu.usage, 3.5);
  EXPECT_EQ(stats.cpu.user, 3.0);
  EXPECT_EQ(stats.cpu.system, 0.5);
  EXPECT_EQ(stats.cpu.throttled, 0.25);
  EXPECT_EQ(stats.memory.usage, 1000);
  EXPECT_EQ(stats.memory.limit, 64 << 20);
  EXPECT_EQ(stats.memory.peak, 2000);
  EXPECT_EQ(stats.memory.cache, 7);
  EXPECT_EQ(stats.memory.swap, 500);
  EXPECT_EQ(stats.memory.oom_kills, 2);
  EXPECT_EQ(stats.pids.current, 3);
  EXPECT_EQ(stats.pids.limit, 50);
  EXPECT_EQ(stats.io.read_bytes, 4100);
  EXPECT_EQ(stats.io.write_bytes, 10);
  EXPECT_EQ(stats.io.reads, 5);
  EXPECT_EQ(stats.io.writes, std::nullopt);
  EXPECT_TRUE(stats.raw.empty());
}

TEST(OtherStats, OfV1WithoutLimits) {
  api::MetricsV1 m;
  m.memory.usage.limit = 0x7FFFFFFFFFFFF000;  // what the kernel makes of "none"
  CgroupStats stats = seen(m);
  EXPECT_EQ(stats.memory.limit, std::nullopt);
  EXPECT_EQ(stats.memory.swap, std::nullopt);
  EXPECT_EQ(stats.pids.limit, std::nullopt);
  EXPECT_EQ(stats.io.read_bytes, std::nullopt);
}

TEST(OtherStats, OfV2) {
  api::MetricsV2 m;
  m.cpu = {.usage_usec = 3'500'000, .user_usec = 3'000'000, .system_usec = 500'000};
  m.cpu.throttled_usec = 250'000;
  m.memory.stat[api::place_of("file", api::kMemoryWordsV2)] = 7;
  m.memory.usage = 1000;
  m.memory.usage_limit = 64 << 20;
  m.memory.swap_usage = 500;
  m.memory.swap_limit = kAllOnes;
  m.memory_events.oom_kill = 2;
  m.pids = {.current = 3, .limit = kAllOnes};
  m.io.usage = {{.rbytes = 4096, .wbytes = 10, .rios = 5, .wios = 6},
                {.rbytes = 4, .wbytes = 0, .rios = 1, .wios = 0}};
  CgroupStats stats = seen(m);
  EXPECT_EQ(stats.cpu.usage, 3.5);
  EXPECT_EQ(stats.cpu.user, 3.0);
  EXPECT_EQ(stats.cpu.system, 0.5);
  EXPECT_EQ(stats.cpu.throttled, 0.25);
  EXPECT_EQ(stats.memory.usage, 1000);
  EXPECT_EQ(stats.memory.limit, 64 << 20);
  EXPECT_EQ(stats.memory.peak, std::nullopt);  // a kernel before 5.19 has no such file
  EXPECT_EQ(stats.memory.cache, 7);
  EXPECT_EQ(stats.memory.swap, 500);
  EXPECT_EQ(stats.memory.oom_kills, 2);
  EXPECT_EQ(stats.pids.current, 3);
  EXPECT_EQ(stats.pids.limit, std::nullopt);
  EXPECT_EQ(stats.io.read_bytes, 4100);
  EXPECT_EQ(stats.io.write_bytes, 10);
  EXPECT_EQ(stats.io.reads, 6);
  EXPECT_EQ(stats.io.writes, 6);
}

TEST(OtherStats, OfAnythingElse) {
  auto code = [](const api::Any& metrics) {
    try {
      stats_of("a-shim", metrics);
    } catch (const Error& error) {
      return error.code();
    }
    return Code::kOk;
  };
  EXPECT_EQ(code({}), Code::kUnimplemented);
  EXPECT_EQ(code({"io.example.Metrics", "x"}), Code::kUnimplemented);
  EXPECT_EQ(code({std::string(api::kMetricsV1Type), "\xff"}), Code::kInvalidArgument);
}

}  // namespace
}  // namespace ctrd::engine
