// SPDX-License-Identifier: Apache-2.0
// B9: every limit is longer than the sum of what it has in it, from the inside out (design.md 8).
#include <gtest/gtest.h>

#include "api/bundle.h"
#include "oci/verbs.h"
#include "shim/task.h"

namespace ctrd::shim {
namespace {

using oci::Verb;
using oci::verb_deadline;

const TaskLimits kLimits;
const Nanos kDrain{api::Options().drain_ns};
// What follows init's end before Wait is answered.
const Nanos kSettle = kLimits.kill + kDrain;
// What Delete, and the end of an owner, wait for.
const Nanos kKillAndWait = 2 * kLimits.kill + kDrain;

TEST(Deadlines, ADrainIsWithinTheEndOfATask) {
  EXPECT_EQ(kDrain, oci::kDrainLimit);
  EXPECT_LT(kSettle, kKillAndWait);
}

TEST(Deadlines, EachVerbIsWithinItsCall) {
  EXPECT_LT(kKillAndWait + kDrain + verb_deadline(Verb::kDelete), oci::kRpcLimit);
  EXPECT_LT(verb_deadline(Verb::kStart), oci::kRpcLimit);
  Nanos roll_back = verb_deadline(Verb::kDelete) + kLimits.kill;
  EXPECT_LT(kLimits.fifo + verb_deadline(Verb::kCreate) + roll_back, oci::kRpcLimit);
  Nanos start_exec = kLimits.fifo + kLimits.place + verb_deadline(Verb::kExec) + kLimits.kill;
  EXPECT_LT(start_exec, oci::kRpcLimit);
  for (Verb verb : {Verb::kKill, Verb::kPause, Verb::kResume, Verb::kUpdate})
    EXPECT_LT(verb_deadline(verb), oci::kRpcLimit);
}

}  // namespace
}  // namespace ctrd::shim
