// SPDX-License-Identifier: Apache-2.0
// On recorded directories: a v2 cgroup as Linux 6.1 shows it, v1's as 6.18 does; and what is not
// there.
#include "base/cgroup_stats.h"

#include <gtest/gtest.h>

#include "temp_dir.h"

namespace ctrd {
namespace {

class Recorded : public testing::Test {
 protected:
  // A hierarchy's directory.
  void put(const std::string& dir, const std::map<std::string, std::string>& files) {
    make_dirs_at(dir_.fd(), dir, 0755);
    for (const auto& [name, text] : files) create_file_at(dir_.fd(), dir + "/" + name, text, 0644);
    dirs_.push_back(open_dir_at(dir_.fd(), dir));
  }
  CgroupStats stats() const { return read_cgroup_stats(dirs_); }

  TempDir dir_;
  std::vector<UniqueFd> dirs_;
};

const std::map<std::string, std::string> kV2 = {
    {"cgroup.controllers", "cpuset cpu io memory hugetlb pids rdma misc\n"},
    {"cgroup.events", "populated 1\nfrozen 0\n"},
    {"cpu.stat",
     "usage_usec 12345678\nuser_usec 10000000\nsystem_usec 2345678\ncore_sched.force_idle_usec 0\n"
     "nr_periods 412\nnr_throttled 31\nthrottled_usec 1500000\nnr_bursts 0\nburst_usec 0\n"},
    {"io.stat",
     "254:0 rbytes=8388608 wbytes=16777216 rios=12 wios=40 dbytes=4096 dios=1\n"
     "8:0 \n7:0 rbytes=4096 wbytes=0 rios=1 wios=0 dbytes=0 dios=0\n"},
    {"memory.current", "41943040\n"},
    {"memory.events", "low 0\nhigh 0\nmax 17\noom 2\noom_kill 3\noom_group_kill 0\n"},
    {"memory.max", "67108864\n"},
    {"memory.peak", "50331648\n"},
    {"memory.stat",
     "anon 20971520\nfile 18874368\nkernel 1269760\nkernel_stack 49152\npagetables 110592\n"
     "shmem 4096\nfile_mapped 2433024\nfile_dirty 0\nfile_writeback 0\n"},
    {"memory.swap.current", "8192\n"},
    {"memory.swap.max", "max\n"},
    {"pids.current", "7\n"},
    {"pids.max", "2048\n"},
};

TEST_F(Recorded, v2) {
  put("unified", kV2);
  CgroupStats all = stats();
  EXPECT_DOUBLE_EQ(*all.cpu.usage, 12.345678);
  EXPECT_DOUBLE_EQ(*all.cpu.user, 10);
  EXPECT_DOUBLE_EQ(*all.cpu.system, 2.345678);
  EXPECT_DOUBLE_EQ(*all.cpu.throttled, 1.5);
  EXPECT_EQ(all.memory.usage, 41943040);
  EXPECT_EQ(all.memory.limit, 67108864);
  EXPECT_EQ(all.memory.peak, 50331648);
  EXPECT_EQ(all.memory.cache, 18874368);
  EXPECT_EQ(all.memory.swap, 8192);
  EXPECT_EQ(all.memory.oom_kills, 3);
  EXPECT_EQ(all.pids.current, 7);
  EXPECT_EQ(all.pids.limit, 2048);
  EXPECT_EQ(all.io.read_bytes, 8392704);
  EXPECT_EQ(all.io.write_bytes, 16777216);
  EXPECT_EQ(all.io.reads, 13);
  EXPECT_EQ(all.io.writes, 40);
  EXPECT_EQ(all.raw["memory.current"], "41943040\n");
  EXPECT_FALSE(all.raw.contains("memory.usage_in_bytes"));
  EXPECT_GT(all.time_ns, 0);
}

// Linux 5.10, no limits, the controllers cpu and io not given to this cgroup.
TEST_F(Recorded, v2_with_less) {
  auto files = kV2;
  files["cpu.stat"] = "usage_usec 5\nuser_usec 3\nsystem_usec 2\n";
  files["memory.max"] = files["pids.max"] = "max\n";
  for (const char* name : {"io.stat", "memory.peak", "memory.swap.current"}) files.erase(name);
  put("unified", files);
  CgroupStats all = stats();
  EXPECT_DOUBLE_EQ(*all.cpu.usage, 5e-6);
  EXPECT_FALSE(all.cpu.throttled || all.memory.limit || all.memory.peak || all.memory.swap);
  EXPECT_FALSE(all.pids.limit || all.io.read_bytes || all.io.writes);
}

TEST_F(Recorded, a_device_that_was_never_used) {
  put("unified", {{"io.stat", ""}});
  EXPECT_EQ(stats().io.read_bytes, 0);
}

TEST_F(Recorded, v1) {
  put("cpu", {{"cpu.stat", "nr_periods 9\nnr_throttled 4\nthrottled_time 2500000000\n"},
              {"cpu.cfs_quota_us", "50000\n"}});
  put("cpuacct", {{"cpuacct.usage", "1234567890\n"}, {"cpuacct.stat", "user 100\nsystem 23\n"}});
  put("memory",
      {{"memory.usage_in_bytes", "41943040\n"},
       {"memory.limit_in_bytes", "9223372036854771712\n"},
       {"memory.max_usage_in_bytes", "50331648\n"},
       {"memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n"},
       {"memory.stat", "cache 4096\nrss 8192\nswap 1\ntotal_cache 18874368\ntotal_swap 8192\n"}});
  put("pids", {{"pids.current", "3\n"}, {"pids.max", "max\n"}});
  put("blkio",
      {{"blkio.throttle.io_service_bytes", "254:0 Read 1\nTotal 1\n"},
       {"blkio.throttle.io_service_bytes_recursive",
        "254:0 Read 8388608\n254:0 Write 4096\n254:0 Sync 8392704\n254:0 Total 8392704\n"
        "7:0 Read 512\n7:0 Write 0\n7:0 Total 512\nTotal 8393216\n"},
       {"blkio.throttle.io_serviced_recursive", "254:0 Read 12\n254:0 Write 1\nTotal 13\n"}});
  CgroupStats all = stats();
  EXPECT_DOUBLE_EQ(*all.cpu.usage, 1.23456789);
  EXPECT_DOUBLE_EQ(*all.cpu.user, 100.0 / static_cast<double>(::sysconf(_SC_CLK_TCK)));
  EXPECT_DOUBLE_EQ(*all.cpu.throttled, 2.5);
  EXPECT_EQ(all.memory.usage, 41943040);
  EXPECT_FALSE(all.memory.limit || all.pids.limit);
  EXPECT_EQ(all.memory.cache, 18874368);
  EXPECT_EQ(all.memory.swap, 8192);
  EXPECT_EQ(all.memory.oom_kills, 1);
  EXPECT_EQ(all.pids.current, 3);
  EXPECT_EQ(all.io.read_bytes, 8389120);
  EXPECT_EQ(all.io.write_bytes, 4096);
  EXPECT_EQ(all.io.reads, 12);
  EXPECT_EQ(all.io.writes, 1);
}

TEST_F(Recorded, v1_counts_what_was_killed_below_too) {
  auto killed = [&](const std::string& dir, const std::string& count) {
    put(dir, {{"memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill " + count + "\n"}});
  };
  killed("memory", "1");
  killed("memory/exec-a-1", "2");
  killed("memory/exec-a-1/deep", "4");
  while (dirs_.size() > 1) dirs_.pop_back();
  EXPECT_EQ(stats().memory.oom_kills, 7);
}

TEST_F(Recorded, nothing_and_nonsense) {
  EXPECT_TRUE(stats().raw.empty());
  put("odd", {{"cpu.stat", "usage_usec\nusage_usec x\n\n"},
              {"memory.current", "99999999999999999999999\n"},
              {"pids.current", "\n"},
              {"io.stat", "rbytes=\n =\n"}});
  CgroupStats all = stats();
  EXPECT_FALSE(all.cpu.usage || all.memory.usage || all.pids.current);
  EXPECT_EQ(all.io.reads, 0);
}

}  // namespace
}  // namespace ctrd
