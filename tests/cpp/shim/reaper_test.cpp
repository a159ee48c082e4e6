// SPDX-License-Identifier: Apache-2.0
#include "shim/reaper.h"

#include <csignal>

#include "base/time.h"
#include "shim/harness.h"

namespace ctrd::shim {
namespace {

// A child that has ended and is not reaped yet.
pid_t ended_child() {
  SpawnSpec spec;
  spec.argv = {"/bin/busybox", "false"};
  Child child = ctrd::spawn(spec);
  wait_ready(child.pidfd.get(), POLLIN, soon(), "waiting for a child");
  return child.pid;
}

TEST(Reaper, KeepsWhatIsExpected) {
  Reaper reaper;
  pid_t pid = ended_child();
  EXPECT_TRUE(Reaper::is_child(pid));
  reaper.expect(pid);
  reaper.reap();
  EXPECT_TRUE(reaper.has_ended(pid));
  EXPECT_FALSE(Reaper::is_child(pid));
  reaper.drop(pid);
  EXPECT_FALSE(reaper.has_ended(pid));
}

TEST(Reaper, DropsStrangersUnlessSomethingIsBeingMade) {
  Reaper reaper;
  pid_t stranger = ended_child();
  reaper.reap();
  EXPECT_FALSE(reaper.has_ended(stranger));
  pid_t adopted = 0, other = 0;
  {
    Reaper::Keep keep(reaper);
    adopted = ended_child();
    other = ended_child();
    reaper.reap();
    EXPECT_TRUE(reaper.has_ended(adopted));
    EXPECT_TRUE(reaper.has_ended(other));
    reaper.expect(adopted);
  }
  EXPECT_TRUE(reaper.has_ended(adopted));
  EXPECT_FALSE(reaper.has_ended(other));
}

TEST(Reaper, NobodyElsesProcessIsAChild) { EXPECT_FALSE(Reaper::is_child(1)); }

}  // namespace
}  // namespace ctrd::shim
