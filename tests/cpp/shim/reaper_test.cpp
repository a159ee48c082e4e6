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
  EXPECT_EQ(reaper.size(), 0U);
  pid_t adopted = 0;
  {
    Reaper::Keep keep(reaper);
    EXPECT_FALSE(reaper.adopt(stranger, keep));
    adopted = ended_child();
    ended_child();
    reaper.reap();
    EXPECT_EQ(reaper.size(), 2U);
    EXPECT_TRUE(reaper.adopt(adopted, keep));
    EXPECT_TRUE(reaper.has_ended(adopted));
    EXPECT_FALSE(reaper.adopt(adopted, keep));  // one waiter each
  }
  EXPECT_TRUE(reaper.has_ended(adopted));
  EXPECT_EQ(reaper.size(), 1U);
}

// B10: with many being made at a time the table is never empty, and a number may come again.
TEST(Reaper, AnEndFromBeforeIsAnothers) {
  Reaper reaper;
  auto older = std::make_unique<Reaper::Keep>(reaper);
  pid_t early = ended_child();
  reaper.reap();
  Reaper::Keep keep(reaper);
  EXPECT_FALSE(reaper.adopt(early, keep));
  pid_t late = ended_child();
  reaper.reap();
  older.reset();
  EXPECT_EQ(reaper.size(), 1U);
  EXPECT_TRUE(reaper.adopt(late, keep));
}

TEST(Reaper, NobodyElsesProcessIsAChild) { EXPECT_FALSE(Reaper::is_child(1)); }

}  // namespace
}  // namespace ctrd::shim
