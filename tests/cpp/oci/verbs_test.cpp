// SPDX-License-Identifier: Apache-2.0
#include "oci/verbs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "oci/scratch.h"

namespace ctrd::oci {
namespace {

using testing::ElementsAre;

const Runtime kRuntime{"/usr/bin/crun", "/b/rt", "/b/log.json"};

TEST(Verbs, commands) {
  EXPECT_THAT(
      create_command(kRuntime, "x", "/b", "/b/init.pid").argv,
      ElementsAre("/usr/bin/crun", "--root", "/b/rt", "--log", "/b/log.json", "--log-format",
                  "json", "create", "--bundle", "/b", "--pid-file", "/b/init.pid", "--", "x"));
  auto last = [](const Command& command) {
    return std::vector<std::string>(command.argv.begin() + 7, command.argv.end());
  };
  EXPECT_THAT(last(start_command(kRuntime, "x")), ElementsAre("start", "--", "x"));
  EXPECT_THAT(last(state_command(kRuntime, "x")), ElementsAre("state", "--", "x"));
  EXPECT_THAT(last(kill_command(kRuntime, "x", 15, false)), ElementsAre("kill", "--", "x", "15"));
  EXPECT_THAT(last(kill_command(kRuntime, "x", 9, true)),
              ElementsAre("kill", "--all", "--", "x", "9"));
  EXPECT_THAT(last(delete_command(kRuntime, "x", false)), ElementsAre("delete", "--", "x"));
  EXPECT_THAT(last(delete_command(kRuntime, "x", true)),
              ElementsAre("delete", "--force", "--", "x"));
  EXPECT_THAT(last(pause_command(kRuntime, "x")), ElementsAre("pause", "--", "x"));
  EXPECT_THAT(last(resume_command(kRuntime, "x")), ElementsAre("resume", "--", "x"));
  EXPECT_THAT(last(update_command(kRuntime, "x", "{}")),
              ElementsAre("update", "--resources", "-", "--", "x"));
  EXPECT_EQ(update_command(kRuntime, "x", "{}").input, "{}");
  EXPECT_THAT(version_command("/r").argv, ElementsAre("/r", "--version"));
}

TEST(Verbs, commands_with_options) {
  auto last = [](const Command& command) {
    return std::vector<std::string>(command.argv.begin() + 7, command.argv.end());
  };
  EXPECT_THAT(last(create_command(kRuntime, "x", "/b", "/p", "/s")),
              ElementsAre("create", "--bundle", "/b", "--pid-file", "/p", "--console-socket", "/s",
                          "--", "x"));
  EXPECT_THAT(last(exec_command(kRuntime, "x", {"/j", "/p"})),
              ElementsAre("exec", "--detach", "--process", "/j", "--pid-file", "/p", "--", "x"));
  EXPECT_THAT(last(exec_command(kRuntime, "x", {"/j", "/p", "/s", "sub"})),
              ElementsAre("exec", "--detach", "--process", "/j", "--pid-file", "/p",
                          "--console-socket", "/s", "--cgroup", "sub", "--", "x"));
  EXPECT_EQ(exec_command(kRuntime, "x", {"/j", "/p"}).log, "/b/log.json");
}

TEST(Verbs, each_has_a_name_and_a_deadline) {
  EXPECT_EQ(verb_name(Verb::kCreate), "create");
  EXPECT_EQ(verb_name(Verb::kRestore), "restore");
  for (int i = 0; i <= static_cast<int>(Verb::kVersion); ++i) {
    auto verb = static_cast<Verb>(i);
    EXPECT_FALSE(verb_name(verb).empty());
    EXPECT_GT(verb_deadline(verb), Nanos(0));
    EXPECT_EQ(create_command(kRuntime, "x", "/b", "/p").deadline, verb_deadline(Verb::kCreate));
  }
}

// From the inside out: what is within something ends before it.
TEST(Verbs, deadlines_nest) {
  Nanos create = verb_deadline(Verb::kCreate), start = verb_deadline(Verb::kStart);
  Nanos kill = verb_deadline(Verb::kKill), remove = verb_deadline(Verb::kDelete);
  EXPECT_LT(create + remove, kRpcLimit);  // a create that fails is followed by a delete
  EXPECT_LT(start + remove, kRpcLimit);
  EXPECT_LT(kDrainLimit + kill + 2 * remove,
            kRpcLimit);  // drain, then delete, forced if it must be
  EXPECT_LT(kDrainLimit, kill);
  EXPECT_EQ(verb_deadline(Verb::kExec), create);
  EXPECT_EQ(verb_deadline(Verb::kCheckpoint), std::chrono::seconds(600));
  EXPECT_EQ(verb_deadline(Verb::kRestore), std::chrono::seconds(600));
}

Error refused(const Command& command, const Outcome& outcome) {
  return error_of([&] { check(command, outcome); });
}

TEST(Check, success) {
  EXPECT_NO_THROW(check(start_command(kRuntime, "x"), {}));
  Outcome gone{.status = 1, .log = R"({"level":"error","msg":"container does not exist"})"};
  EXPECT_NO_THROW(check(delete_command(kRuntime, "x", false), gone));
  EXPECT_EQ(refused(start_command(kRuntime, "x"), gone).code(), Code::kNotFound);
}

TEST(Check, runtime_that_is_not_there) {
  Error error = refused(start_command(kRuntime, "x"), {.launch_errno = ENOENT});
  EXPECT_EQ(error.code(), Code::kNotFound);
  EXPECT_EQ(error.kind(), Kind::kRuntime);
  EXPECT_THAT(error.message(), testing::HasSubstr("\"/usr/bin/crun\""));
  EXPECT_EQ(refused(start_command(kRuntime, "x"), {.launch_errno = EACCES}).code(),
            Code::kPermissionDenied);
}

TEST(Check, runtime_that_hangs) {
  Error error =
      refused(create_command(kRuntime, "x", "/b", "/p"), {.status = 137, .timed_out = true});
  EXPECT_EQ(error.code(), Code::kDeadlineExceeded);
  EXPECT_EQ(error.find("verb"), "create");
  EXPECT_EQ(error.find("runtime"), "/usr/bin/crun");
  EXPECT_THAT(error.message(), testing::HasSubstr("30 s"));
}

}  // namespace
}  // namespace ctrd::oci
