// SPDX-License-Identifier: Apache-2.0
// The shims that this process has spawned: its children, so it owes them a reaping, by pid and
// never with -1. One set per process.
#pragma once

#include "base/process.h"
#include "base/spawn.h"

namespace ctrd::engine {

void adopt_child(Child child);
// Reaps those that have ended; never blocks.
void reap_children();
// This child is about to exit by itself (its task is deleted): reap_ending() takes it. Not a child
// of ours: nothing.
void expect_end(pid_t pid);
// Reaps the expected ones; waits for them until the deadline.
void reap_ending(const Wait& wait);
// Waits until this process (a child of ours or not) has ended, and reaps it if it is a child of
// ours. False at the deadline.
bool wait_process(const ProcessKey& key, const Wait& wait);

}  // namespace ctrd::engine
