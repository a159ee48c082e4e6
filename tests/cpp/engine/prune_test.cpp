// SPDX-License-Identifier: Apache-2.0
// What a prune takes, in what states, and what it leaves alone.
#include "engine/prune.h"

#include "engine/checkpoint.h"
#include "engine/fixture.h"
#include "engine/leases.h"
#include "engine/verbs.h"

namespace ctrd::engine {
namespace {

using Ids = std::vector<std::string>;

class PruneTest : public EngineTest {
 protected:
  CreateOptions detached(const std::string& id, const std::vector<std::string>& args) const {
    CreateOptions made = options(args);
    made.id = id;
    made.detached = true;
    made.labels["app"] = id;
    return made;
  }
  void run_to_end(const CreateOptions& options) {
    engine().create(kNs, options, soon());
    engine().create_task(kNs, options.id, {}, false, soon());
    engine().start_task(task(options.id), soon());
    engine().wait_task(task(options.id), soon());
  }
  PruneReport prune(const PruneOptions& options = {}) {
    return engine::prune(engine(), kNs, options, soon());
  }
};

TEST_F(PruneTest, TakesWhatIsStoppedAndNobodys) {
  run_to_end(detached("old", {"/bin/true"}));
  CreateOptions mine = detached("mine", {"/bin/true"});
  mine.detached = false;
  run_to_end(mine);
  engine().create(kNs, detached("new", {"/bin/true"}), soon());
  run_to_end(detached("deleted", {"/bin/true"}));
  engine().delete_task(task("deleted"), false, soon());
  EXPECT_EQ(prune({.dry_run = true}).removed, Ids{"old"});
  EXPECT_EQ(prune({.stopped_for = std::chrono::hours(1)}).removed, Ids{});
  const PruneReport report = prune();
  EXPECT_EQ(report.removed, Ids{"old"});
  EXPECT_GT(report.freed, 0u);
  EXPECT_EQ(prune().removed, Ids{});
  for (const char* left : {"mine", "new", "deleted"})
    EXPECT_TRUE(engine().remove(kNs, left, true, false, soon())) << left;
}

TEST_F(PruneTest, TakesWhatMatches) {
  for (const char* id : {"a", "b", "c"}) run_to_end(detached(id, {"/bin/true"}));
  EXPECT_EQ(prune({.filters = {"labels.app==c", "id==a"}}).removed, (Ids{"a", "c"}));
  EXPECT_EQ(prune({.filters = {"labels.app!=x"}}).removed, Ids{"b"});
}

TEST_F(PruneTest, LeavesWhatALeaseHolds) {
  run_to_end(detached("a", {"/bin/true"}));
  create_lease(engine(), kNs, {.id = "l"}, soon());
  add_to_lease(engine(), kNs, "l", {"snapshot", "a"}, soon());
  EXPECT_EQ(prune().removed, Ids{});
  remove_lease(engine(), kNs, "l", 0, soon());
  EXPECT_EQ(prune().removed, Ids{"a"});
}

// What happens to the task of one that somebody labels while its shim ends.
TEST_F(PruneTest, AnEndedTaskWhoseBundleIsLeftHasItsExit) {
  run_to_end(detached("a", {"/bin/sh", "-c", "exit 3"}));
  EXPECT_TRUE(end_task(core_of(engine(), soon()), task("a"), false, soon())->claim);
  EXPECT_EQ(engine().wait_task(task("a"), soon()).status, 3);
  EXPECT_EQ(prune().removed, Ids{"a"});
}

TEST_F(PruneTest, RefusesWhatItDoesNotUnderstand) {
  run_to_end(detached("a", {"/bin/true"}));
  for (const PruneOptions& bad :
       {PruneOptions{.filters = {"id=="}}, PruneOptions{.stopped_for = std::chrono::seconds(-1)}}) {
    EXPECT_EQ(code_of([&] { prune(bad); }), Code::kInvalidArgument);
  }
  EXPECT_EQ(code_of([&] { engine::prune(engine(), "a/b", {}, soon()); }), Code::kInvalidArgument);
  EXPECT_EQ(prune().removed, Ids{"a"});
}

}  // namespace
}  // namespace ctrd::engine
