// SPDX-License-Identifier: Apache-2.0
// What the shim does by itself at the end of its task or of its owner: on_exit, detach, escalation.
#include <csignal>

#include "base/error.h"
#include "base/files.h"
#include "base/process.h"
#include "shim/harness.h"
#include "ttrpc/client.h"

namespace ctrd::shim {
namespace {

class OnExit : public Runtimes {};
CTRD_EACH_RUNTIME(OnExit);

TEST_P(OnExit, DeleteTakesAllButTheExit) {
  Harness h(runtime());
  h.options.on_exit = api::OnExit::kDelete;
  h.configure({"/bin/sh", "-c", "exit 7"});
  h.spawn();
  h.create();
  ttrpc::Request wait = to_task("Wait", api::encode(api::WaitRequest{h.id, ""}));
  ttrpc::Call waiting(ttrpc::connect_at(h.bundle_dir.get(), api::kSocketFile, soon()), wait,
                      soon());
  EXPECT_EQ(h.state().status, api::Status::kCreated);  // so it has been accepted
  h.start();
  auto ended = api::decode<api::WaitResponse>(waiting.finish(soon()));
  EXPECT_EQ(ended.exit_status, 7U);  // answered before it goes
  EXPECT_EQ(h.exit_status(), 0);
  EXPECT_EQ(h.exit_file().status, 7U);
  EXPECT_EQ(h.exit_file().instance, h.options.instance);
  EXPECT_EQ(h.status_file().status, api::Status::kStopped);
  EXPECT_EQ(h.status_file().on_exit, api::OnExit::kDelete);
  for (const char* name : {api::kRuntimeDir, api::kSocketFile, api::kIoDir})
    EXPECT_FALSE(exists_at(h.bundle_dir.get(), name)) << name;
  h.expect_no_trace();
}

TEST_P(OnExit, DeleteOfOneThatWasDeletedFirst) {
  Harness h(runtime());
  h.options.on_exit = api::OnExit::kDelete;
  h.configure({"/bin/sleep", "1000"});
  h.spawn();
  h.create();
  EXPECT_EQ(h.remove().exit_status, 137U);
  EXPECT_EQ(h.exit_status(), 0);
}

TEST_P(OnExit, DetachIsInTheStatusFile) {
  Harness h(runtime());
  SpawnSpec sleeper;
  sleeper.argv = {"/bin/busybox", "sleep", "1000"};
  Child owner = ctrd::spawn(sleeper);
  h.configure({"/bin/sleep", "1000"});
  h.spawn(owner.pidfd.get());
  h.create();
  EXPECT_FALSE(h.status_file().detached);
  h.call<api::Empty>("Detach", api::Empty{}, api::kShimV1);
  EXPECT_TRUE(h.status_file().detached);
  ::kill(owner.pid, SIGKILL);
  reap(owner, soon());
  h.start();
  EXPECT_EQ(h.state().status, api::Status::kRunning);
  EXPECT_TRUE(h.status_file().detached);
  h.kill(SIGKILL);
  h.wait();
  h.remove_and_leave();
}

TEST_P(OnExit, EscalateIsInTheExitFile) {
  Harness h(runtime());
  h.configure({"/bin/sleep", "1000"});
  h.spawn();
  h.create();
  h.start();
  api::KillRequest request{.id = h.id, .exec_id = "", .signal = SIGKILL, .all = true};
  h.call<api::Empty>("Escalate", request, api::kShimV1);
  EXPECT_EQ(h.wait().exit_status, 137U);
  EXPECT_TRUE(h.exit_file().escalated);
  h.remove_and_leave();
}

}  // namespace
}  // namespace ctrd::shim
