// SPDX-License-Identifier: Apache-2.0
// What a task uses, as containerd's clients read it: io.containerd.cgroups.v1.Metrics and
// v2.Metrics, the Any of StatsResponse. Not what nobody reads: rdma, network, pressure (psi) and
// v1's cgroup_stats, which are skipped. Source: shim-protocol.md 4.3.
#pragma once

#include <array>
#include <stdexcept>
#include <string>
#include <vector>

#include "api/task.h"

namespace ctrd::api {

inline constexpr std::string_view kMetricsV1Type = "io.containerd.cgroups.v1.Metrics";
inline constexpr std::string_view kMetricsV2Type = "io.containerd.cgroups.v2.Metrics";

// The kernel's words in memory.stat, in the order of the fields 1, 2, ... of the memory message.
inline constexpr auto kMemoryWordsV1 = std::to_array<std::string_view>({"cache",
                                                                        "rss",
                                                                        "rss_huge",
                                                                        "mapped_file",
                                                                        "dirty",
                                                                        "writeback",
                                                                        "pgpgin",
                                                                        "pgpgout",
                                                                        "pgfault",
                                                                        "pgmajfault",
                                                                        "inactive_anon",
                                                                        "active_anon",
                                                                        "inactive_file",
                                                                        "active_file",
                                                                        "unevictable",
                                                                        "hierarchical_memory_limit",
                                                                        "hierarchical_memsw_limit",
                                                                        "total_cache",
                                                                        "total_rss",
                                                                        "total_rss_huge",
                                                                        "total_mapped_file",
                                                                        "total_dirty",
                                                                        "total_writeback",
                                                                        "total_pgpgin",
                                                                        "total_pgpgout",
                                                                        "total_pgfault",
                                                                        "total_pgmajfault",
                                                                        "total_inactive_anon",
                                                                        "total_active_anon",
                                                                        "total_inactive_file",
                                                                        "total_active_file",
                                                                        "total_unevictable"});
inline constexpr auto kMemoryWordsV2 = std::to_array<std::string_view>({"anon",
                                                                        "file",
                                                                        "kernel_stack",
                                                                        "slab",
                                                                        "sock",
                                                                        "shmem",
                                                                        "file_mapped",
                                                                        "file_dirty",
                                                                        "file_writeback",
                                                                        "anon_thp",
                                                                        "inactive_anon",
                                                                        "active_anon",
                                                                        "inactive_file",
                                                                        "active_file",
                                                                        "unevictable",
                                                                        "slab_reclaimable",
                                                                        "slab_unreclaimable",
                                                                        "pgfault",
                                                                        "pgmajfault",
                                                                        "workingset_refault",
                                                                        "workingset_activate",
                                                                        "workingset_nodereclaim",
                                                                        "pgrefill",
                                                                        "pgscan",
                                                                        "pgsteal",
                                                                        "pgactivate",
                                                                        "pgdeactivate",
                                                                        "pglazyfree",
                                                                        "pglazyfreed",
                                                                        "thp_fault_alloc",
                                                                        "thp_collapse_alloc"});
// v1's lists of blkio, in the order of its fields 1, 2, ...
inline constexpr auto kBlkioListsV1 = std::to_array<std::string_view>(
    {"io_service_bytes", "io_serviced", "io_queued", "io_service_time", "io_wait_time", "io_merged",
     "io_time", "sectors"});
// In one of these: the place of a word. Throws std::out_of_range for one that is not there.
constexpr std::size_t place_of(std::string_view word, const auto& words) {
  for (std::size_t i = 0; i < words.size(); ++i)
    if (words[i] == word) return i;
  throw std::out_of_range("a word of memory.stat that no message has");
}

struct MetricsV1 {
  struct Hugetlb {
    uint64_t usage = 0, max = 0, failcnt = 0;
    std::string pagesize;  // "2MB"
  };
  struct Pids {
    uint64_t current = 0, limit = 0;  // limit 0: none
  };
  struct CpuUsage {  // ns
    uint64_t total = 0, kernel = 0, user = 0;
    std::vector<uint64_t> per_cpu;
  };
  struct Throttling {
    uint64_t periods = 0, throttled_periods = 0, throttled_time = 0;  // ns
  };
  struct Cpu {
    CpuUsage usage;
    Throttling throttling;
  };
  struct MemoryEntry {
    uint64_t limit = 0, usage = 0, max = 0, failcnt = 0;
  };
  struct Memory {
    std::array<uint64_t, kMemoryWordsV1.size()> stat{};
    MemoryEntry usage, swap, kernel, kernel_tcp;  // swap: with memory
  };
  struct BlkioEntry {
    std::string op, device;  // "Read"; "/dev/sda"
    uint64_t major = 0, minor = 0, value = 0;
  };
  struct Blkio {
    std::array<std::vector<BlkioEntry>, kBlkioListsV1.size()> lists;
  };
  struct OomControl {
    uint64_t oom_kill_disable = 0, under_oom = 0, oom_kill = 0;
  };
  std::vector<Hugetlb> hugetlb;
  Pids pids;
  Cpu cpu;
  Memory memory;
  Blkio blkio;
  OomControl memory_oom_control;
};

struct MetricsV2 {
  struct Pids {
    uint64_t current = 0, limit = 0;  // all ones: none, here and in memory
  };
  struct Cpu {
    uint64_t usage_usec = 0, user_usec = 0, system_usec = 0;
    uint64_t nr_periods = 0, nr_throttled = 0, throttled_usec = 0;
  };
  struct Memory {
    std::array<uint64_t, kMemoryWordsV2.size()> stat{};
    uint64_t usage = 0, usage_limit = 0, swap_usage = 0, swap_limit = 0;
    uint64_t max_usage = 0, swap_max_usage = 0;
  };
  struct IoEntry {
    uint64_t major = 0, minor = 0, rbytes = 0, wbytes = 0, rios = 0, wios = 0;
  };
  struct Io {
    std::vector<IoEntry> usage;
  };
  struct Hugetlb {
    uint64_t current = 0, max = 0;
    std::string pagesize;
    uint64_t failcnt = 0;
  };
  struct MemoryEvents {
    uint64_t low = 0, high = 0, max = 0, oom = 0, oom_kill = 0, oom_group_kill = 0;
  };
  Pids pids;
  Cpu cpu;
  Memory memory;
  Io io;
  std::vector<Hugetlb> hugetlb;
  MemoryEvents memory_events;
};

// encode and decode as every message has them (task.h). cpu, memory and what every client reads in
// them are always written.
std::string encode(const MetricsV1& m);
template <>
MetricsV1 decode<MetricsV1>(std::string_view bytes);
std::string encode(const MetricsV2& m);
template <>
MetricsV2 decode<MetricsV2>(std::string_view bytes);

}  // namespace ctrd::api
