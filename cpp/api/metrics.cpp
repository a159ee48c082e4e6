// SPDX-License-Identifier: Apache-2.0
#include "api/metrics.h"

#include "api/codec.h"

namespace ctrd::api {

static void fields(auto& v, Is<MetricsV1::Hugetlb> auto& m) {
  v(1, m.usage), v(2, m.max), v(3, m.failcnt), v(4, m.pagesize);
}
static void fields(auto& v, Is<MetricsV1::Pids> auto& m) { v(1, m.current), v(2, m.limit); }
static void fields(auto& v, Is<MetricsV1::CpuUsage> auto& m) {
  v(1, m.total), v(2, m.kernel), v(3, m.user), v(4, m.per_cpu);
}
static void fields(auto& v, Is<MetricsV1::Throttling> auto& m) {
  v(1, m.periods), v(2, m.throttled_periods), v(3, m.throttled_time);
}
static void fields(auto& v, Is<MetricsV1::Cpu> auto& m) {
  v.present(1, m.usage), v(2, m.throttling);
}
static void fields(auto& v, Is<MetricsV1::MemoryEntry> auto& m) {
  v(1, m.limit), v(2, m.usage), v(3, m.max), v(4, m.failcnt);
}
static void fields(auto& v, Is<MetricsV1::Memory> auto& m) {
  for (std::size_t i = 0; i < m.stat.size(); ++i) v(static_cast<uint32_t>(i + 1), m.stat[i]);
  v.present(33, m.usage), v(34, m.swap), v(35, m.kernel), v(36, m.kernel_tcp);
}
static void fields(auto& v, Is<MetricsV1::BlkioEntry> auto& m) {
  v(1, m.op), v(2, m.device), v(3, m.major), v(4, m.minor), v(5, m.value);
}
static void fields(auto& v, Is<MetricsV1::Blkio> auto& m) {
  for (std::size_t i = 0; i < m.lists.size(); ++i) v(static_cast<uint32_t>(i + 1), m.lists[i]);
}
static void fields(auto& v, Is<MetricsV1::OomControl> auto& m) {
  v(1, m.oom_kill_disable), v(2, m.under_oom), v(3, m.oom_kill);
}
static void fields(auto& v, Is<MetricsV1> auto& m) {
  v(1, m.hugetlb), v(2, m.pids), v.present(3, m.cpu), v.present(4, m.memory), v(5, m.blkio);
  v(9, m.memory_oom_control);
}

static void fields(auto& v, Is<MetricsV2::Pids> auto& m) { v(1, m.current), v(2, m.limit); }
static void fields(auto& v, Is<MetricsV2::Cpu> auto& m) {
  v(1, m.usage_usec), v(2, m.user_usec), v(3, m.system_usec);
  v(4, m.nr_periods), v(5, m.nr_throttled), v(6, m.throttled_usec);
}
static void fields(auto& v, Is<MetricsV2::Memory> auto& m) {
  for (std::size_t i = 0; i < m.stat.size(); ++i) v(static_cast<uint32_t>(i + 1), m.stat[i]);
  v(32, m.usage), v(33, m.usage_limit), v(34, m.swap_usage), v(35, m.swap_limit);
  v(36, m.max_usage), v(37, m.swap_max_usage);
}
static void fields(auto& v, Is<MetricsV2::IoEntry> auto& m) {
  v(1, m.major), v(2, m.minor), v(3, m.rbytes), v(4, m.wbytes), v(5, m.rios), v(6, m.wios);
}
static void fields(auto& v, Is<MetricsV2::Io> auto& m) { v(1, m.usage); }
static void fields(auto& v, Is<MetricsV2::Hugetlb> auto& m) {
  v(1, m.current), v(2, m.max), v(3, m.pagesize), v(4, m.failcnt);
}
static void fields(auto& v, Is<MetricsV2::MemoryEvents> auto& m) {
  v(1, m.low), v(2, m.high), v(3, m.max), v(4, m.oom), v(5, m.oom_kill), v(6, m.oom_group_kill);
}
static void fields(auto& v, Is<MetricsV2> auto& m) {
  v(1, m.pids), v.present(2, m.cpu), v.present(4, m.memory), v(6, m.io), v(7, m.hugetlb);
  v(8, m.memory_events);
}

CTRD_API_CODEC(MetricsV1)
CTRD_API_CODEC(MetricsV2)

}  // namespace ctrd::api
