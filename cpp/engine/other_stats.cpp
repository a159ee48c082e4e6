// SPDX-License-Identifier: Apache-2.0
#include "engine/other_stats.h"

#include "api/any_type.h"
#include "api/metrics.h"
#include "base/error.h"
#include "base/time.h"
#include "engine/other_shim.h"

namespace ctrd::engine {
namespace {

using Number = std::optional<int64_t>;

constexpr uint64_t kUnlimited = uint64_t{1}
                                << 62;  // v1 rounds "none" down to a page, v2 has all ones

// A message has no word for "none": what no limit can be is one.
Number limit_of(uint64_t value) {
  return value == 0 || value >= kUnlimited ? Number() : Number(value);
}

Number unless_zero(uint64_t value) { return value == 0 ? Number() : Number(value); }

double seconds(uint64_t value, double units) { return static_cast<double>(value) / units; }

void add(Number* sum, uint64_t value) { *sum = sum->value_or(0) + static_cast<int64_t>(value); }

void sum_v1(const std::vector<api::MetricsV1::BlkioEntry>& list, Number* read, Number* write) {
  for (const auto& entry : list) {
    if (entry.op == "Read" || entry.op == "read") add(read, entry.value);
    if (entry.op == "Write" || entry.op == "write") add(write, entry.value);
  }
}

CgroupStats::Io io_of(const api::MetricsV1::Blkio& blkio) {
  auto list = [&](const char* name) {
    return blkio.lists[api::place_of(name, api::kBlkioListsV1)];
  };
  CgroupStats::Io io;
  sum_v1(list("io_service_bytes"), &io.read_bytes, &io.write_bytes);
  sum_v1(list("io_serviced"), &io.reads, &io.writes);
  return io;
}

CgroupStats::Io io_of(const api::MetricsV2::Io& metrics) {
  CgroupStats::Io io{0, 0, 0, 0};
  for (const auto& entry : metrics.usage) {
    add(&io.read_bytes, entry.rbytes), add(&io.write_bytes, entry.wbytes);
    add(&io.reads, entry.rios), add(&io.writes, entry.wios);
  }
  return io;
}

// With swap v1 counts both together, or nothing.
Number swap_of(const api::MetricsV1::Memory& memory) {
  if (memory.swap.limit == 0) return std::nullopt;
  return memory.swap.usage > memory.usage.usage ? memory.swap.usage - memory.usage.usage : 0;
}

CgroupStats from(const api::MetricsV1& m) {
  CgroupStats stats;
  stats.cpu = {seconds(m.cpu.usage.total, 1e9), seconds(m.cpu.usage.user, 1e9),
               seconds(m.cpu.usage.kernel, 1e9), seconds(m.cpu.throttling.throttled_time, 1e9)};
  const auto& memory = m.memory;
  stats.memory = {.usage = memory.usage.usage,
                  .limit = limit_of(memory.usage.limit),
                  .peak = unless_zero(memory.usage.max),
                  .cache = memory.stat[api::place_of("total_cache", api::kMemoryWordsV1)],
                  .swap = swap_of(memory),
                  .oom_kills = m.memory_oom_control.oom_kill};
  stats.pids = {m.pids.current, limit_of(m.pids.limit)};
  stats.io = io_of(m.blkio);
  return stats;
}

CgroupStats from(const api::MetricsV2& m) {
  CgroupStats stats;
  stats.cpu = {seconds(m.cpu.usage_usec, 1e6), seconds(m.cpu.user_usec, 1e6),
               seconds(m.cpu.system_usec, 1e6), seconds(m.cpu.throttled_usec, 1e6)};
  const auto& memory = m.memory;
  stats.memory = {.usage = memory.usage,
                  .limit = limit_of(memory.usage_limit),
                  .peak = unless_zero(memory.max_usage),
                  .cache = memory.stat[api::place_of("file", api::kMemoryWordsV2)],
                  .swap = memory.swap_usage,
                  .oom_kills = m.memory_events.oom_kill};
  stats.pids = {m.pids.current, limit_of(m.pids.limit)};
  stats.io = io_of(m.io);
  return stats;
}

}  // namespace

CgroupStats stats_of(const std::string& shim, const api::Any& metrics) {
  std::string_view type = api::bare_type(metrics.type_url);
  CgroupStats stats;
  if (type == api::kMetricsV1Type)
    stats = from(api::decode<api::MetricsV1>(metrics.value));
  else if (type == api::kMetricsV2Type)
    stats = from(api::decode<api::MetricsV2>(metrics.value));
  else
    throw lacks(shim, "figures that are known here, but \"" + escaped(type, 128) + "\"",
                "ask its own tools");
  stats.time_ns = wall_ns();
  return stats;
}

}  // namespace ctrd::engine
