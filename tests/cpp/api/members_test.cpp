// SPDX-License-Identifier: Apache-2.0
// Which member holds which field: codec_test.cpp would not see two of one type exchanged.
#include <gtest/gtest.h>

#include "api/bundle.h"
#include "api/metrics.h"
#include "api/oracle.h"
#include "api/runc_options.h"
#include "api/task.h"
#include "containerd.pb.h"
#include "metrics.pb.h"
#include "shim.pb.h"
#include "task.pb.h"

namespace ctrd::api {
namespace {

namespace v2 = containerd::task::v2;
namespace shim1 = ctrd::shim::v1;
namespace foreign = ctrd::foreign;
namespace metrics = ctrd::metrics;

template <typename Theirs>
Theirs filled() {
  Theirs theirs;
  fill(theirs);
  return theirs;
}

template <typename Ours, typename Theirs>
Ours read(const Theirs& theirs) {
  return decode<Ours>(theirs.SerializeAsString());
}

int64_t ns(const google::protobuf::Timestamp& time) {
  return time.seconds() * 1'000'000'000 + time.nanos();
}

void expect_same(const Any& ours, const google::protobuf::Any& theirs) {
  EXPECT_EQ(ours.type_url, theirs.type_url());
  EXPECT_EQ(ours.value, theirs.value());
}

// For the requests that begin with id and exec_id.
template <typename Ours, typename Theirs>
Ours expect_ids(const Theirs& theirs) {
  Ours ours = read<Ours>(theirs);
  EXPECT_EQ(ours.id, theirs.id());
  EXPECT_EQ(ours.exec_id, theirs.exec_id());
  EXPECT_NE(ours.id, ours.exec_id);
  return ours;
}

TEST(Members, Ids) {
  expect_ids<StateRequest>(filled<v2::StateRequest>());
  expect_ids<StartRequest>(filled<v2::StartRequest>());
  expect_ids<DeleteRequest>(filled<v2::DeleteRequest>());
  expect_ids<WaitRequest>(filled<v2::WaitRequest>());
  EXPECT_TRUE(expect_ids<CloseIORequest>(filled<v2::CloseIORequest>()).stdin_closed);
  EXPECT_EQ(read<PidsRequest>(filled<v2::PidsRequest>()).id, "id1");
  EXPECT_EQ(read<PauseRequest>(filled<v2::PauseRequest>()).id, "id1");
  EXPECT_EQ(read<ResumeRequest>(filled<v2::ResumeRequest>()).id, "id1");
  EXPECT_EQ(read<StatsRequest>(filled<v2::StatsRequest>()).id, "id1");
  EXPECT_EQ(read<ConnectRequest>(filled<v2::ConnectRequest>()).id, "id1");
}

TEST(Members, StateResponse) {
  auto theirs = filled<v2::StateResponse>();
  auto ours = expect_ids<StateResponse>(theirs);
  EXPECT_EQ(ours.bundle, theirs.bundle());
  EXPECT_EQ(ours.pid, theirs.pid());
  EXPECT_EQ(ours.status, Status::kPausing);
  EXPECT_EQ(ours.stdin_path, theirs.stdin());
  EXPECT_EQ(ours.stdout_path, theirs.stdout());
  EXPECT_EQ(ours.stderr_path, theirs.stderr());
  EXPECT_TRUE(ours.terminal);
  EXPECT_EQ(ours.exit_status, theirs.exit_status());
  EXPECT_EQ(ours.exited_ns, ns(theirs.exited_at()));
}

TEST(Members, Create) {
  auto theirs = filled<v2::CreateTaskRequest>();
  auto ours = read<CreateRequest>(theirs);
  EXPECT_EQ(ours.id, theirs.id());
  EXPECT_EQ(ours.bundle, theirs.bundle());
  EXPECT_TRUE(ours.terminal);
  EXPECT_EQ(ours.stdin_path, theirs.stdin());
  EXPECT_EQ(ours.stdout_path, theirs.stdout());
  EXPECT_EQ(ours.stderr_path, theirs.stderr());
  EXPECT_EQ(ours.checkpoint, theirs.checkpoint());
  EXPECT_EQ(ours.parent_checkpoint, theirs.parent_checkpoint());
  expect_same(ours.options, theirs.options());
  ASSERT_EQ(ours.rootfs.size(), 2u);
  EXPECT_EQ(ours.rootfs[1].type, theirs.rootfs(1).type());
  EXPECT_EQ(ours.rootfs[1].source, theirs.rootfs(1).source());
  EXPECT_EQ(ours.rootfs[1].target, theirs.rootfs(1).target());
  ASSERT_EQ(ours.rootfs[1].options.size(), 2u);
  EXPECT_EQ(ours.rootfs[1].options[1], theirs.rootfs(1).options(1));
  EXPECT_EQ(read<CreateResponse>(filled<v2::CreateTaskResponse>()).pid, 0xF0000001u);
  EXPECT_EQ(read<StartResponse>(filled<v2::StartResponse>()).pid, 0xF0000001u);
}

TEST(Members, DeleteAndWaitResponse) {
  auto theirs = filled<v2::DeleteResponse>();
  auto ours = read<DeleteResponse>(theirs);
  EXPECT_EQ(ours.pid, theirs.pid());
  EXPECT_EQ(ours.exit_status, theirs.exit_status());
  EXPECT_EQ(ours.exited_ns, ns(theirs.exited_at()));
  auto waited = filled<v2::WaitResponse>();
  EXPECT_EQ(read<WaitResponse>(waited).exit_status, waited.exit_status());
  EXPECT_EQ(read<WaitResponse>(waited).exited_ns, ns(waited.exited_at()));
}

TEST(Members, PidsAndStats) {
  auto theirs = filled<v2::PidsResponse>();
  auto ours = read<PidsResponse>(theirs);
  ASSERT_EQ(ours.processes.size(), 2u);
  EXPECT_EQ(ours.processes[1].pid, theirs.processes(1).pid());
  expect_same(ours.processes[1].info, theirs.processes(1).info());
  auto stats = filled<v2::StatsResponse>();
  expect_same(read<StatsResponse>(stats).stats, stats.stats());
}

TEST(Members, CheckpointUpdateKillExecResize) {
  auto checkpoint = filled<v2::CheckpointTaskRequest>();
  EXPECT_EQ(read<CheckpointTaskRequest>(checkpoint).id, checkpoint.id());
  EXPECT_EQ(read<CheckpointTaskRequest>(checkpoint).path, checkpoint.path());
  auto update = filled<v2::UpdateTaskRequest>();
  EXPECT_EQ(read<UpdateTaskRequest>(update).id, update.id());
  expect_same(read<UpdateTaskRequest>(update).resources, update.resources());
  auto annotations = read<UpdateTaskRequest>(update).annotations;
  EXPECT_EQ(annotations.size(), 2u);
  for (const auto& [key, value] : update.annotations()) EXPECT_EQ(annotations[key], value);
  auto kill = filled<v2::KillRequest>();
  EXPECT_EQ(expect_ids<KillRequest>(kill).signal, kill.signal());
  EXPECT_TRUE(read<KillRequest>(kill).all);
  auto exec = filled<v2::ExecProcessRequest>();
  auto ours = expect_ids<ExecProcessRequest>(exec);
  EXPECT_TRUE(ours.terminal);
  EXPECT_EQ(ours.stdin_path, exec.stdin());
  EXPECT_EQ(ours.stdout_path, exec.stdout());
  EXPECT_EQ(ours.stderr_path, exec.stderr());
  expect_same(ours.spec, exec.spec());
  auto resize = filled<v2::ResizePtyRequest>();
  EXPECT_EQ(expect_ids<ResizePtyRequest>(resize).width, resize.width());
  EXPECT_EQ(read<ResizePtyRequest>(resize).height, resize.height());
}

TEST(Members, ConnectShutdownInfoLimit) {
  auto connect = filled<v2::ConnectResponse>();
  EXPECT_EQ(read<ConnectResponse>(connect).shim_pid, connect.shim_pid());
  EXPECT_EQ(read<ConnectResponse>(connect).task_pid, connect.task_pid());
  EXPECT_EQ(read<ConnectResponse>(connect).version, connect.version());
  EXPECT_EQ(read<ShutdownRequest>(filled<v2::ShutdownRequest>()).id, "id1");
  EXPECT_TRUE(read<ShutdownRequest>(filled<v2::ShutdownRequest>()).now);
  auto info = filled<shim1::InfoResponse>();
  EXPECT_EQ(read<InfoResponse>(info).version, info.version());
  EXPECT_EQ(read<InfoResponse>(info).instance, info.instance());
  EXPECT_EQ(read<InfoResponse>(info).shim_pid, info.shim_pid());
  EXPECT_TRUE(read<InfoResponse>(info).owned);
  auto limit = filled<shim1::LimitRequest>();
  EXPECT_EQ(expect_ids<LimitRequest>(limit).timeout_ns, limit.timeout_ns());
}

TEST(Members, ExitInfo) {
  auto theirs = filled<shim1::ExitInfo>();
  auto ours = read<ExitInfo>(theirs);
  EXPECT_EQ(ours.status, theirs.status());
  EXPECT_EQ(ours.signal, theirs.signal());
  EXPECT_EQ(ours.started_ns, theirs.started_ns());
  EXPECT_EQ(ours.exited_ns, theirs.exited_ns());
  EXPECT_EQ(ours.pid, theirs.pid());
  for (int set = 0; set < 4; ++set) {
    theirs.set_oom_killed(set == 0), theirs.set_escalated(set == 1);
    theirs.set_output_cut(set == 2), theirs.set_timed_out(set == 3);
    ours = read<ExitInfo>(theirs);
    EXPECT_EQ(ours.oom_killed, set == 0);
    EXPECT_EQ(ours.escalated, set == 1);
    EXPECT_EQ(ours.output_cut, set == 2);
    EXPECT_EQ(ours.timed_out, set == 3);
  }
}

TEST(Members, Options) {
  auto theirs = filled<shim1::Options>();
  auto ours = read<Options>(theirs);
  EXPECT_EQ(ours.binary_name, theirs.binary_name());
  EXPECT_EQ(ours.journal_dir, theirs.journal_dir());
  EXPECT_EQ(ours.log_dir, theirs.log_dir());
  EXPECT_EQ(ours.log_max, theirs.log_max());
  EXPECT_EQ(ours.lifetime, Lifetime::kDetached);
  EXPECT_EQ(ours.on_exit, OnExit::kDelete);
  EXPECT_EQ(ours.timeout_ns, theirs.timeout_ns());
  EXPECT_EQ(ours.drain_ns, theirs.drain_ns());
  EXPECT_EQ(ours.instance, theirs.instance());
  EXPECT_EQ(ours.cgroups_path, theirs.cgroups_path());
  EXPECT_EQ(ours.runtime_root, theirs.runtime_root());
  EXPECT_EQ(ours.io_uid, theirs.io_uid());
  EXPECT_EQ(ours.io_gid, theirs.io_gid());
}

TEST(Members, RuncOptions) {
  auto theirs = filled<foreign::RuncOptions>();
  auto ours = read<RuncOptions>(theirs);
  EXPECT_EQ(ours.binary_name, theirs.binary_name());
  EXPECT_EQ(ours.root, theirs.root());
  EXPECT_EQ(ours.shim_cgroup, theirs.shim_cgroup());
  EXPECT_EQ(ours.io_uid, theirs.io_uid());
  EXPECT_EQ(ours.io_gid, theirs.io_gid());
  foreign::RuncOptions one;
  one.set_no_pivot_root(true);
  EXPECT_TRUE(read<RuncOptions>(one).no_pivot_root);
  one = {};
  one.set_systemd_cgroup(true);
  EXPECT_TRUE(read<RuncOptions>(one).systemd_cgroup);
  EXPECT_FALSE(read<RuncOptions>(one).no_new_keyring);
}

TEST(Members, OptionsOfZeroAreNotTheDefault) {
  Options none;
  none.log_max = none.drain_ns = 0;
  auto again = decode<Options>(encode(none));
  EXPECT_EQ(again.log_max, 0);
  EXPECT_EQ(again.drain_ns, 0);
  EXPECT_EQ(decode<Options>("").drain_ns, Options().drain_ns);
  EXPECT_EQ(decode<Options>("").log_max, Options().log_max);
}

TEST(Members, StatusFile) {
  auto theirs = filled<shim1::StatusFile>();
  auto ours = decode_status_file("\x01" + theirs.SerializeAsString());
  EXPECT_EQ(ours.instance, theirs.instance());
  EXPECT_EQ(ours.status, Status::kPausing);
  EXPECT_EQ(ours.pid, theirs.pid());
  EXPECT_EQ(ours.pid_start, theirs.pid_start());
  EXPECT_EQ(ours.boot_id, theirs.boot_id());
  EXPECT_EQ(ours.created_ns, theirs.created_ns());
  EXPECT_EQ(ours.started_ns, theirs.started_ns());
  EXPECT_EQ(ours.shim_pid, theirs.shim_pid());
  EXPECT_EQ(ours.shim_start, theirs.shim_start());
  EXPECT_EQ(ours.cgroups_path, theirs.cgroups_path());
  EXPECT_EQ(ours.log_dir, theirs.log_dir());
  EXPECT_EQ(ours.runtime, theirs.runtime());
}

TEST(Members, ExitFile) {
  auto theirs = filled<shim1::ExitFile>();
  auto ours = decode_exit_file("\x01" + theirs.SerializeAsString());
  EXPECT_EQ(ours.status, theirs.status());
  EXPECT_EQ(ours.signal, theirs.signal());
  EXPECT_EQ(ours.started_ns, theirs.started_ns());
  EXPECT_EQ(ours.exited_ns, theirs.exited_ns());
  EXPECT_EQ(ours.lost, Lost::kReboot);
  ExitFile flags;
  flags.escalated = true;
  flags.timed_out = true;
  shim1::ExitFile written;
  ASSERT_TRUE(written.ParseFromString(encode_file(flags).substr(1)));
  EXPECT_FALSE(written.oom_killed());
  EXPECT_TRUE(written.escalated());
  EXPECT_FALSE(written.output_cut());
  EXPECT_TRUE(written.timed_out());
}

TEST(Members, TimesGoBothWays) {
  constexpr int64_t kYearOne = -62135596800;
  struct Row {
    int64_t seconds;
    int32_t nanos;
    int64_t ns;
  };
  for (Row row : {Row{kYearOne, 0, kNotYet}, Row{1, 5, 1'000'000'005}, Row{-1, 999'999'999, -1},
                  Row{-2, 0, -2'000'000'000}, Row{9223372036, 854775807, INT64_MAX},
                  Row{-9223372037, 145224192, INT64_MIN}}) {
    v2::WaitResponse theirs;
    theirs.mutable_exited_at()->set_seconds(row.seconds);
    theirs.mutable_exited_at()->set_nanos(row.nanos);
    EXPECT_EQ(read<WaitResponse>(theirs).exited_ns, row.ns);
    EXPECT_EQ(encode(WaitResponse{.exit_status = 0, .exited_ns = row.ns}),
              theirs.SerializeAsString())
        << row.ns;
  }
  v2::WaitResponse far;
  far.mutable_exited_at()->set_seconds(INT64_MAX);
  EXPECT_EQ(read<WaitResponse>(far).exited_ns, INT64_MAX);
  far.mutable_exited_at()->set_seconds(INT64_MIN);
  EXPECT_EQ(read<WaitResponse>(far).exited_ns, INT64_MIN);
}

TEST(Members, AnUnknownStatusIsKept) {
  v2::StateResponse theirs;
  theirs.set_status(static_cast<containerd::v1::types::Status>(77));
  EXPECT_EQ(static_cast<int>(read<StateResponse>(theirs).status), 77);
}

TEST(Members, MetricsV1) {
  auto theirs = filled<metrics::MetricsV1>();
  auto ours = read<MetricsV1>(theirs);
  EXPECT_EQ(ours.pids.limit, theirs.pids().limit());
  EXPECT_EQ(ours.cpu.usage.kernel, theirs.cpu().usage().kernel());
  EXPECT_EQ(ours.cpu.usage.per_cpu.back(), theirs.cpu().usage().per_cpu(1));
  EXPECT_EQ(ours.cpu.throttling.throttled_periods, theirs.cpu().throttling().throttled_periods());
  auto word = [&](std::string_view name) {
    return ours.memory.stat[place_of(name, kMemoryWordsV1)];
  };
  EXPECT_EQ(word("total_rss"), theirs.memory().total_rss());
  EXPECT_EQ(word("total_inactive_file"), theirs.memory().total_inactive_file());
  EXPECT_EQ(word("total_pgmajfault"), theirs.memory().total_pgmajfault());
  EXPECT_EQ(ours.memory.swap.failcnt, theirs.memory().swap().failcnt());
  EXPECT_EQ(ours.memory.kernel.max, theirs.memory().kernel().max());
  const auto& serviced = ours.blkio.lists[place_of("io_serviced", kBlkioListsV1)];
  EXPECT_EQ(serviced.front().op, theirs.blkio().io_serviced_recursive(0).op());
  EXPECT_EQ(serviced.front().minor, theirs.blkio().io_serviced_recursive(0).minor());
  EXPECT_EQ(ours.hugetlb.front().failcnt, theirs.hugetlb(0).failcnt());
  EXPECT_EQ(ours.memory_oom_control.under_oom, theirs.memory_oom_control().under_oom());
}

TEST(Members, MetricsV2) {
  auto theirs = filled<metrics::MetricsV2>();
  auto ours = read<MetricsV2>(theirs);
  EXPECT_EQ(ours.cpu.system_usec, theirs.cpu().system_usec());
  EXPECT_EQ(ours.cpu.nr_throttled, theirs.cpu().nr_throttled());
  EXPECT_EQ(ours.memory.stat[place_of("pgmajfault", kMemoryWordsV2)], theirs.memory().pgmajfault());
  EXPECT_EQ(ours.memory.stat[place_of("thp_collapse_alloc", kMemoryWordsV2)],
            theirs.memory().thp_collapse_alloc());
  EXPECT_EQ(ours.memory.swap_limit, theirs.memory().swap_limit());
  EXPECT_EQ(ours.memory.max_usage, theirs.memory().max_usage());
  EXPECT_EQ(ours.io.usage.back().rios, theirs.io().usage(1).rios());
  EXPECT_EQ(ours.hugetlb.front().pagesize, theirs.hugetlb(0).pagesize());
  EXPECT_EQ(ours.memory_events.oom_kill, theirs.memory_events().oom_kill());
}

}  // namespace
}  // namespace ctrd::api
