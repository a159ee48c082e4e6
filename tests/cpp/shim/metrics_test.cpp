// SPDX-License-Identifier: Apache-2.0
// containerd's metrics from recorded directories: a v2 cgroup as Linux 6.1 shows it, v1's as 6.18
// does; and of a task that runs here.
#include "shim/metrics.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <map>

#include "api/metrics.h"
#include "base/files.h"
#include "shim/control_files.h"
#include "shim/harness.h"
#include "support/scratch_dir.h"

namespace ctrd::shim {
namespace {

using api::MetricsV1;
using api::MetricsV2;
using Tree = std::map<std::string, std::string>;

class Recorded : public ::testing::Test {
 protected:
  void put(const std::string& dir, const Tree& files) {
    UniqueFd made = make_dir_at(scratch_.dir().get(), dir, 0755);
    for (const auto& [name, text] : files) create_file_at(made.get(), name, text, 0644);
    dirs_.push_back(std::move(made));
  }
  api::Any metrics() const { return cgroup_metrics(dirs_); }

  ScratchDir scratch_{"/tmp/ctrd-metrics-"};
  std::vector<UniqueFd> dirs_;
};

const Tree kV2 = {
    {"cgroup.controllers", "cpuset cpu io memory hugetlb pids rdma misc\n"},
    {"cpu.stat",
     "usage_usec 12345678\nuser_usec 10000000\nsystem_usec 2345678\ncore_sched.force_idle_usec 0\n"
     "nr_periods 412\nnr_throttled 31\nthrottled_usec 1500000\nnr_bursts 0\nburst_usec 0\n"},
    {"hugetlb.2MB.current", "4194304\n"},
    {"hugetlb.2MB.events", "max 3\n"},
    {"hugetlb.2MB.max", "max\n"},
    {"hugetlb.2MB.rsvd.current", "1\n"},
    {"io.stat",
     "254:0 rbytes=8388608 wbytes=16777216 rios=12 wios=40 dbytes=4096 dios=1\n"
     "8:0 \n7:1 rbytes=4096 wbytes=0 rios=1 wios=0 dbytes=0 dios=0\n"},
    {"memory.current", "41943040\n"},
    {"memory.events", "low 0\nhigh 1\nmax 17\noom 2\noom_kill 3\noom_group_kill 4\n"},
    {"memory.max", "67108864\n"},
    {"memory.peak", "50331648\n"},
    {"memory.stat",
     "anon 20971520\nfile 18874368\nkernel 1269760\nkernel_stack 49152\npagetables 110592\n"
     "inactive_file 77\nworkingset_refault_anon 5\nworkingset_refault_file 6\npgfault 1000\n"
     "pgmajfault 10\nthp_collapse_alloc 9\n"},
    {"memory.swap.current", "8192\n"},
    {"memory.swap.max", "max\n"},
    {"pids.current", "7\n"},
    {"pids.max", "2048\n"},
};

TEST_F(Recorded, V2) {
  put("unified", kV2);
  api::Any any = metrics();
  EXPECT_EQ(any.type_url, "io.containerd.cgroups.v2.Metrics");
  auto all = api::decode<MetricsV2>(any.value);
  EXPECT_EQ(all.pids.current, 7U);
  EXPECT_EQ(all.pids.limit, 2048U);
  EXPECT_EQ(all.cpu.usage_usec, 12345678U);
  EXPECT_EQ(all.cpu.throttled_usec, 1500000U);
  auto word = [&](std::string_view name) {
    return all.memory.stat[api::place_of(name, api::kMemoryWordsV2)];
  };
  EXPECT_EQ(word("anon"), 20971520U);
  EXPECT_EQ(word("inactive_file"), 77U);
  EXPECT_EQ(word("workingset_refault"), 11U);
  EXPECT_EQ(word("thp_collapse_alloc"), 9U);
  EXPECT_EQ(word("shmem"), 0U);
  EXPECT_EQ(all.memory.usage, 41943040U);
  EXPECT_EQ(all.memory.usage_limit, 67108864U);
  EXPECT_EQ(all.memory.swap_limit, ~uint64_t{0});
  EXPECT_EQ(all.memory.max_usage, 50331648U);
  ASSERT_EQ(all.io.usage.size(), 2U);
  EXPECT_EQ(all.io.usage[0].major, 254U);
  EXPECT_EQ(all.io.usage[0].wbytes, 16777216U);
  EXPECT_EQ(all.io.usage[1].minor, 1U);
  ASSERT_EQ(all.hugetlb.size(), 1U);
  EXPECT_EQ(all.hugetlb[0].pagesize, "2MB");
  EXPECT_EQ(all.hugetlb[0].current, 4194304U);
  EXPECT_EQ(all.hugetlb[0].max, ~uint64_t{0});
  EXPECT_EQ(all.hugetlb[0].failcnt, 3U);
  EXPECT_EQ(all.memory_events.oom_kill, 3U);
}

// As it is on a hybrid machine, whose v2 hierarchy has no controllers.
TEST_F(Recorded, V1) {
  put("unified", {{"cgroup.controllers", "\n"}, {"cgroup.procs", "1\n"}});
  put("cpu", {{"cpu.stat", "nr_periods 4\nnr_throttled 3\nthrottled_time 250\n"}});
  put("cpuacct", {{"cpuacct.usage", "5000000000\n"},
                  {"cpuacct.stat", "user 300\nsystem 200\n"},
                  {"cpuacct.usage_percpu", "2000000000 3000000000 \n"}});
  put("memory", {{"memory.usage_in_bytes", "1000\n"},
                 {"memory.limit_in_bytes", "9223372036854771712\n"},
                 {"memory.max_usage_in_bytes", "2000\n"},
                 {"memory.failcnt", "1\n"},
                 {"memory.memsw.limit_in_bytes", "3000\n"},
                 {"memory.kmem.usage_in_bytes", "40\n"},
                 {"memory.kmem.tcp.failcnt", "5\n"},
                 {"memory.stat",
                  "cache 1\nrss 2\nhierarchical_memsw_limit 3\ntotal_rss 4\n"
                  "total_pgfault 6\ntotal_inactive_file 5\n"},
                 {"memory.oom_control", "oom_kill_disable 0\nunder_oom 1\noom_kill 2\n"}});
  put("blkio", {{"blkio.throttle.io_service_bytes", "1:1 Read 1\n"},
                {"blkio.throttle.io_service_bytes_recursive",
                 "999:7 Read 4096\n999:7 Write 8\n999:7 Total 4104\nTotal 4104\n"},
                {"blkio.throttle.io_serviced", "Total 0\n"}});
  put("pids", {{"pids.current", "3\n"}, {"pids.max", "max\n"}});
  put("hugetlb", {{"hugetlb.2MB.usage_in_bytes", "10\n"},
                  {"hugetlb.2MB.max_usage_in_bytes", "20\n"},
                  {"hugetlb.2MB.failcnt", "30\n"},
                  {"hugetlb.2MB.rsvd.usage_in_bytes", "40\n"}});
  api::Any any = metrics();
  EXPECT_EQ(any.type_url, "io.containerd.cgroups.v1.Metrics");
  auto all = api::decode<MetricsV1>(any.value);
  EXPECT_EQ(all.pids.current, 3U);
  EXPECT_EQ(all.pids.limit, 0U);
  EXPECT_EQ(all.cpu.usage.total, 5000000000U);
  EXPECT_EQ(all.cpu.usage.user, 3000000000U);
  EXPECT_EQ(all.cpu.usage.kernel, 2000000000U);
  EXPECT_EQ(all.cpu.usage.per_cpu, (std::vector<uint64_t>{2000000000, 3000000000}));
  EXPECT_EQ(all.cpu.throttling.throttled_periods, 3U);
  EXPECT_EQ(all.memory.usage.limit, 9223372036854771712U);
  EXPECT_EQ(all.memory.usage.failcnt, 1U);
  EXPECT_EQ(all.memory.swap.limit, 3000U);
  EXPECT_EQ(all.memory.kernel.usage, 40U);
  EXPECT_EQ(all.memory.kernel_tcp.failcnt, 5U);
  EXPECT_EQ(all.memory.stat[api::place_of("total_rss", api::kMemoryWordsV1)], 4U);
  EXPECT_EQ(all.memory.stat[api::place_of("total_inactive_file", api::kMemoryWordsV1)], 5U);
  const auto& bytes = all.blkio.lists[0];
  ASSERT_EQ(bytes.size(), 3U);
  EXPECT_EQ(bytes[1].op, "Write");
  EXPECT_EQ(bytes[1].major, 999U);
  EXPECT_EQ(bytes[1].minor, 7U);
  EXPECT_EQ(bytes[1].value, 8U);
  EXPECT_TRUE(all.blkio.lists[1].empty());
  ASSERT_EQ(all.hugetlb.size(), 1U);
  EXPECT_EQ(all.hugetlb[0].max, 20U);
  EXPECT_EQ(all.memory_oom_control.oom_kill, 2U);
}

// A client looks into cpu.usage and memory.usage without asking whether they are there.
TEST_F(Recorded, FilesThatAreNotThereOrMakeNoSense) {
  put("v1", {{"memory.stat", "rss\nrss x\n 7\n"}, {"cpuacct.usage", "many\n"}, {"io.stat", "::="}});
  EXPECT_EQ(metrics().value, std::string("\x1a\x02\x0a\x00\x22\x03\x8a\x02\x00", 9));
  dirs_.clear();
  put("v2", {{"cgroup.controllers", ""}, {"io.stat", "::=\n1:2 rbytes\n"}, {"pids.max", "max"}});
  EXPECT_EQ(api::decode<MetricsV2>(metrics().value).pids.limit, ~uint64_t{0});
}

struct StatsTest : Runtimes {
  Harness h{runtime()};
  api::Any stats() { return h.call<api::StatsResponse>("Stats", api::StatsRequest{h.id}).stats; }
};

TEST_P(StatsTest, OfATaskInEachState) {
  h.configure({"/bin/sleep", "1000"});
  h.spawn();
  EXPECT_EQ(error_of([&] { stats(); }).code(), Code::kNotFound);
  h.create();
  EXPECT_NE(stats().value, "");
  h.start();
  api::Any any = stats();
  if (any.type_url == api::kMetricsV1Type) {
    auto all = api::decode<MetricsV1>(any.value);
    EXPECT_EQ(all.pids.current, 1U);
    EXPECT_GT(all.cpu.usage.total, 0U);
    EXPECT_GT(all.memory.usage.usage, 0U);
  } else {
    EXPECT_EQ(api::decode<MetricsV2>(any.value).pids.current, 1U);
  }
  h.end();
}

CTRD_EACH_RUNTIME(StatsTest);

}  // namespace
}  // namespace ctrd::shim
