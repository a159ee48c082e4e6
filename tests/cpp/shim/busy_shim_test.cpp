// SPDX-License-Identifier: Apache-2.0
// A shim with more to do than usual: many clients, large requests, readers that do not read. Its
// other clients must not notice. reliability.md B6, B7, B21, B28, B29.
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <memory>
#include <sstream>
#include <thread>

#include "base/error.h"
#include "base/files.h"
#include "base/process.h"
#include "shim/harness.h"
#include "ttrpc/client.h"

namespace ctrd::shim {
namespace {

class BusyShim : public Runtimes {};
CTRD_EACH_RUNTIME(BusyShim);

std::vector<std::string> sh(const std::string& script) { return {"/bin/sh", "-c", script}; }

struct SoftLimit {
  explicit SoftLimit(rlim_t descriptors) {
    ::getrlimit(RLIMIT_NOFILE, &before);
    rlimit low{descriptors, before.rlim_max};
    EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &low), 0);
  }
  ~SoftLimit() { ::setrlimit(RLIMIT_NOFILE, &before); }
  rlimit before{};
};

// However few descriptors its creator may have; what runs in the container sees no more than before
// (runc 1.1.5 raises it itself).
TEST_P(BusyShim, ManyClientsWait) {
  Harness h(runtime());
  {
    SoftLimit limit(64);
    h.configure({"/bin/sleep", "1000"});
    h.spawn();
  }
  h.create();
  h.start();
  ttrpc::Request request = to_task("Wait", api::encode(api::WaitRequest{h.id, ""}));
  std::vector<std::unique_ptr<ttrpc::Call>> calls;
  for (int i = 0; i < 200; ++i)
    calls.push_back(std::make_unique<ttrpc::Call>(
        ttrpc::connect_at(h.bundle_dir.get(), api::kSocketFile, soon()), request, soon()));
  EXPECT_EQ(h.state().status, api::Status::kRunning);
  Harness::Proc p = h.proc("e", sh("ulimit -n"), {"stdout"});
  h.add(p);
  h.start("e");
  std::string seen = read_to_end(p.out.get());
  if (runtime().ends_with("crun")) {
    EXPECT_EQ(seen, "64\n");
  }
  h.kill(SIGKILL);
  for (auto& call : calls)
    EXPECT_EQ(api::decode<api::WaitResponse>(call->finish(soon())).exit_status, 137U);
  calls.clear();
  h.remove_and_leave();
}

// B6: everything else answers.
TEST_P(BusyShim, WhileADeleteDrains) {
  Harness h(runtime());
  h.options.drain_ns = kLong.count();
  h.run_sleeper();
  Harness::Proc p = h.proc("e", sh("sleep 1000 & echo ok"), {"stdout"});
  h.add(p);
  h.start("e");
  EXPECT_EQ(h.wait("e").status, 0U);
  bool cut = true;
  std::thread deleting([&] { cut = h.remove("e").output_cut; });
  EXPECT_TRUE(eventually([&] { return open_fds(h.shim.pid, "socket:") > 1; }));  // it has come
  EXPECT_EQ(h.state("e").status, api::Status::kStopped);
  EXPECT_EQ(h.state().status, api::Status::kRunning);
  Harness::Proc other = h.proc("other", {"/bin/true"});
  h.add(other);
  h.start("other");
  EXPECT_EQ(h.wait("other").status, 0U);
  uint32_t init = h.state().pid;
  for (const auto& process : h.call<api::PidsResponse>("Pids", api::PidsRequest{h.id}).processes)
    if (process.pid != init) ::kill(static_cast<pid_t>(process.pid), SIGKILL);
  deleting.join();
  EXPECT_FALSE(cut);
  EXPECT_EQ(read_to_end(p.out.get()), "ok\n");
  h.end();
}

// Of user and system, in clock ticks.
long cpu_ticks(pid_t pid) {
  std::string stat = read_file_at(open_dir("/proc").get(), std::to_string(pid) + "/stat");
  std::istringstream words(stat.substr(stat.rfind(')') + 2));
  std::string word;
  for (int i = 0; i < 11; ++i) words >> word;
  long user = 0, system = 0;
  words >> user >> system;
  return user + system;
}

// B7: a reader that has stopped holds its own process up, costs nothing, and loses nothing.
TEST_P(BusyShim, AReaderThatHasStopped) {
  Harness h(runtime());
  h.run_sleeper();
  Harness::Proc p = h.proc("e", sh("yes | head -c 1000000"), {"stdout"});
  h.add(p);
  h.start("e");
  wait_ready(p.out.get(), POLLIN, soon(), "waiting for output");
  long before = cpu_ticks(h.shim.pid);
  poll_until({}, soon().within(std::chrono::seconds(1)));
  EXPECT_LT(cpu_ticks(h.shim.pid) - before, ::sysconf(_SC_CLK_TCK) / 5);
  EXPECT_EQ(h.state("e").status, api::Status::kRunning);
  EXPECT_EQ(read_to_end(p.out.get()).size(), 1000000U);
  EXPECT_EQ(h.wait("e").status, 0U);
  EXPECT_FALSE(h.remove("e").output_cut);
  h.end();
}

// B28: all on one connection before any answer is read.
TEST(BusyShimOnce, LargeRequestsOnOneConnection) {
  Harness h(find_program("crun").value());
  h.run_sleeper();
  constexpr uint32_t kCount = 64;
  oci::Json env = oci::Json::array();  // 1 MiB
  for (int i = 0; i < 16; ++i) env.push_back("X=" + std::string(1 << 16, 'x'));
  UniqueFd socket = ttrpc::connect_at(h.bundle_dir.get(), api::kSocketFile, soon());
  Harness::Proc p = h.proc("e", {"/bin/true"}, {}, {{"env", env}});
  auto name = [](uint32_t i) { return "e" + std::to_string(i); };
  for (uint32_t i = 0; i < kCount; ++i) {
    p.request.exec_id = name(i);
    ttrpc::Request request = to_task("Exec", api::encode(p.request));
    ttrpc::Call sent(socket.dup(), request, soon(), 2 * i + 1);
  }
  EXPECT_EQ(h.state().status, api::Status::kRunning);
  auto state = [&](uint32_t i) { return error_of([&] { h.state(name(i)); }).code(); };
  EXPECT_TRUE(eventually([&] { return state(kCount - 1) == Code::kOk; }));
  for (uint32_t i = 0; i < kCount; ++i) EXPECT_EQ(state(i), Code::kOk) << i;
  socket.reset();
  h.end();
}

// B29: a runtime that says more than anybody wants to hear.
TEST_P(BusyShim, ARuntimeThatTalks) {
  Harness h(runtime());
  std::string path = h.dir + "/runtime";
  std::string text =
      "#!/bin/busybox sh\nexec=; log=; previous=\nfor arg in \"$@\"; do\n"
      "case $previous in --log) log=$arg;; esac\n[ \"$arg\" = exec ] && exec=1; previous=$arg\n"
      "done\nif [ $exec ]; then head -c 10485760 /dev/zero | tee $log >&2; exit 1; fi\n" +
      h.runtime + " \"$@\"\n";
  replace_file_at(open_dir(h.dir).get(), "runtime", text, 0755, false);
  h.options.binary_name = path;
  h.run_sleeper();
  Harness::Proc p = h.proc("e", {"/bin/true"});
  h.add(p);
  Error error = error_of([&] { h.start("e"); });
  EXPECT_EQ(error.code(), Code::kInternal) << error.message().substr(0, 1000);
  EXPECT_EQ(error.kind(), Kind::kRuntime);
  EXPECT_LT(error.message().size(), 100000U);
  h.remove("e");
  h.end();
}

// B5, for init: its burst is whole though Delete comes at once.
TEST_P(BusyShim, ABurstAndADelete) {
  Harness h(runtime());
  UniqueFd out = h.fifo("stdout");
  h.configure(sh("yes | head -c 8388608"));
  h.spawn();
  h.create();
  h.start();
  std::string text;
  std::thread reading([&] { text = read_to_end(out.get()); });
  EXPECT_EQ(h.wait().exit_status, 0U);
  h.remove_and_leave();
  reading.join();
  EXPECT_EQ(text.size(), 8388608U);
}

}  // namespace
}  // namespace ctrd::shim
