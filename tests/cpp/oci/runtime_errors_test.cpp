// SPDX-License-Identifier: Apache-2.0
// The table of runtime_errors.cpp: rows from texts, and the same situations made with the real
// runtimes.
#include "oci/runtime_errors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "oci/json.h"
#include "oci/scratch.h"
#include "oci/spec.h"

namespace ctrd::oci {
namespace {

using testing::HasSubstr;

Error error_for(Verb verb, const std::string& words) {
  Command command{verb, {"/usr/bin/crun"}, "", verb_deadline(verb)};
  return runtime_error(command,
                       {.status = 1, .log = Json{{"level", "error"}, {"msg", words}}.dump()});
}

struct Text {
  Verb verb;
  const char* words;
  Code code;
  Kind kind;
};
// Texts that no installed runtime says (crun 1.28), or that need a machine in trouble.
const Text kTexts[] = {
    {Verb::kCreate, "executable file `/nope` not found: No such file or directory", Code::kNotFound,
     Kind::kPath},
    {Verb::kCreate, "cgroups in hybrid mode not supported, drop all controllers from cgroupv2",
     Code::kUnimplemented, Kind::kNone},
    {Verb::kState, "container `x` does not exist: open `/rt/x/status`: No such file or directory",
     Code::kNotFound, Kind::kTask},
    {Verb::kKill, "open pidfd: No such process", Code::kNotFound, Kind::kProcess},
    {Verb::kKill, "process not running: No such process", Code::kNotFound, Kind::kProcess},
    {Verb::kKill, "os: process already finished", Code::kNotFound, Kind::kProcess},
    {Verb::kKill, "container not running", Code::kNotFound, Kind::kProcess},
    {Verb::kKill, "unable to signal init: invalid argument", Code::kInvalidArgument, Kind::kNone},
    {Verb::kPause, "container not running", Code::kFailedPrecondition, Kind::kProcess},
    {Verb::kResume, "container not paused", Code::kFailedPrecondition, Kind::kTask},
    {Verb::kExec, "cannot exec in a stopped container", Code::kFailedPrecondition, Kind::kProcess},
    {Verb::kExec, "the container `x` is paused", Code::kFailedPrecondition, Kind::kTask},
    {Verb::kExec, "the container `x` is not running", Code::kFailedPrecondition, Kind::kProcess},
    {Verb::kCreate, "mkdir `/x`: No space left on device", Code::kResourceExhausted, Kind::kNone},
    {Verb::kCreate, "something new", Code::kInternal, Kind::kRuntime},
};

TEST(RuntimeErrors, texts) {
  for (const Text& row : kTexts) {
    Error error = error_for(row.verb, row.words);
    EXPECT_EQ(error.code(), row.code) << row.words;
    EXPECT_EQ(error.kind(), row.kind) << row.words;
  }
}

TEST(RuntimeErrors, unknown_words_are_kept) {
  Error error = error_for(Verb::kCreate, "something new");
  EXPECT_EQ(error.message(), "crun create failed with exit status 1: something new");
  EXPECT_EQ(error.find("runtime"), "/usr/bin/crun");
  EXPECT_EQ(error.find("verb"), "create");
  EXPECT_EQ(error.find("exit_code"), "1");
  EXPECT_EQ(error.find("log_tail"), "something new");
}

TEST(RuntimeErrors, without_a_log_stderr_is_read) {
  Command command{Verb::kStart, {"runc"}, "", verb_deadline(Verb::kStart)};
  EXPECT_THAT(runtime_error(command, {.status = 2, .err = " oh \n"}).message(),
              HasSubstr("exit status 2: oh"));
  EXPECT_THAT(runtime_error(command, {.status = 139}).message(),
              HasSubstr("exit status 139: it said nothing"));
}

TEST(RuntimeErrors, words_of_another_shim) {
  auto code = [](Verb verb, const char* words) { return shim_error(verb, "/shim", words).code(); };
  for (const char* words : {"cannot delete a running process: unknown",
                            "cannot start a stopped process", "cannot pause task in created state",
                            "cannot exec in a paused state", "cannot pause a paused container"})
    EXPECT_EQ(code(Verb::kState, words), Code::kFailedPrecondition) << words;
  EXPECT_EQ(code(Verb::kState, "cannot open a file of this process"), Code::kInternal);
  const char* passed_on =
      "OCI runtime exec failed: exec failed: exec: \"x\": executable file not found in $PATH: "
      "unknown";
  EXPECT_EQ(code(Verb::kExec, passed_on), Code::kNotFound);
}

TEST(RuntimeErrors, last_message_of_a_log) {
  EXPECT_EQ(last_log_message(""), "");
  EXPECT_EQ(last_log_message("no json"), "");
  EXPECT_EQ(last_log_message(R"({"level":"error","msg":"a"}
{"msg":"b \"}{\" ","level":"error"}
{"level":"warning","msg":"c"})"),
            "b \"}{\" ");
  EXPECT_EQ(last_log_message("{\n  \"msg\": \"pretty\",\n  \"level\": \"error\"\n}\n"), "pretty");
  EXPECT_EQ(last_log_message(
                "sg\":\"cut {\"}\n{\"level\":\"fatal\",\"msg\":\"whole\"}\n{\"level\":\"err"),
            "whole");
  EXPECT_EQ(last_log_message(std::string(60000, '{')), "");
  std::string broken;
  for (int i = 0; i < 20000; ++i) broken += "{\n";
  EXPECT_EQ(last_log_message(broken), "");
}

class RuntimeTexts : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { scratch_.make_rootfs(); }
  RealContainer box() { return RealContainer(scratch_, GetParam()); }
  // What create says to a config that `change` has spoilt after all checks.
  template <typename F>
  Error create_error(F&& change) {
    RealContainer box(scratch_, GetParam());
    SpecOptions options;
    options.args = {"/bin/sleep", "100"};
    box.configure(options);
    Json config = Json::parse(box.config());
    change(config);
    box.configure_text(config.dump());
    Error error = box.failure(
        create_command(box.runtime(), box.id(), box.bundle(), box.bundle() + "/init.pid"));
    box.remove();
    return error;
  }
  Error with_args(const char* program) {
    return create_error([&](Json& config) { config["process"]["args"] = {program, "x"}; });
  }
  Error with_mount(Json mount) {
    return create_error([&](Json& config) { config["mounts"].push_back(mount); });
  }
  void expect(const Error& error, Code code, Kind kind, const char* words) {
    EXPECT_EQ(error.code(), code) << error.message();
    EXPECT_EQ(error.kind(), kind) << error.message();
    EXPECT_THAT(error.message(), HasSubstr(words));
    EXPECT_THAT(error.find("runtime"), HasSubstr(GetParam()));
  }
  Scratch scratch_;
};

TEST_P(RuntimeTexts, program) {
  Error missing = with_args("/nope");
  expect(missing, Code::kNotFound, Kind::kPath, "program not found: \"/nope\"");
  EXPECT_EQ(missing.find("path"), "/nope");
  expect(with_args("nope"), Code::kNotFound, Kind::kPath, "program not found: \"nope\"");
  expect(with_args("/bin/data/x"), Code::kNotFound, Kind::kPath, "program not found");
  expect(with_args("/bin/data"), Code::kPermissionDenied, Kind::kNone, "program is not executable");
  expect(with_args("/bin/folder"), Code::kPermissionDenied, Kind::kNone,
         "program is not executable");
}

TEST_P(RuntimeTexts, working_directory) {
  Error error = create_error([](Json& config) { config["process"]["cwd"] = "/bin/data"; });
  expect(error, Code::kInvalidArgument, Kind::kNone, "the working directory is not a directory");
  EXPECT_EQ(error.find("field"), "cwd");
}

TEST_P(RuntimeTexts, mounts) {
  Error gone = with_mount(
      {{"destination", "/x"}, {"type", "bind"}, {"source", "/nope/no"}, {"options", {"rbind"}}});
  expect(gone, Code::kNotFound, Kind::kPath, "/nope/no");
  EXPECT_EQ(gone.find("path"), "/nope/no");
  auto mount = [](const char* destination, const char* type, const char* option) {
    return Json{{"destination", destination},
                {"type", type},
                {"source", "x"},
                {"options", Json::array({option})}};
  };
  expect(with_mount(mount("/x", "nosuchfs", "ro")), Code::kInvalidArgument, Kind::kNone,
         "no such file system type");
  expect(with_mount(mount("/x", "tmpfs", "frob=3")), Code::kInvalidArgument, Kind::kNone,
         "the kernel refuses a mount");
  expect(with_mount(mount("/bin/data/x", "tmpfs", "ro")), Code::kInvalidArgument, Kind::kNone,
         "not a directory");
}

TEST_P(RuntimeTexts, limits) {
  auto resources = [&](const char* part, Json value) {
    return create_error([&](Json& config) { config["linux"]["resources"][part] = value; });
  };
  expect(resources("memory", {{"limit", 4096}}), Code::kFailedPrecondition, Kind::kNone,
         "memory limit is too low");
  expect(resources("cpu", {{"cpus", "999"}}), Code::kInvalidArgument, Kind::kNone, "cpuset.cpus");
}

TEST_P(RuntimeTexts, seccomp) {
  Error error = create_error(
      [](Json& config) { config["linux"]["seccomp"]["defaultAction"] = "SCMP_ACT_FOO"; });
  expect(error, Code::kInvalidArgument, Kind::kNone, "SCMP_ACT_FOO");
}

TEST_P(RuntimeTexts, unknown_container) {
  RealContainer box(scratch_, GetParam());
  for (const Command& command :
       {state_command(box.runtime(), "ghost"), start_command(box.runtime(), "ghost"),
        kill_command(box.runtime(), "ghost", 9, false)}) {
    Error error = box.failure(command);
    expect(error, Code::kNotFound, Kind::kTask, "does not know this container");
    EXPECT_TRUE(says_gone(error));
  }
  EXPECT_NO_THROW(box.check_run(delete_command(box.runtime(), "ghost", false)));
  EXPECT_NO_THROW(box.check_run(delete_command(box.runtime(), "ghost", true)));
}

TEST_P(RuntimeTexts, states) {
  RealContainer box(scratch_, GetParam());
  SpecOptions options;
  options.args = {"/bin/sleep", "100"};
  box.configure(options);
  box.create();
  Command again =
      create_command(box.runtime(), box.id(), box.bundle(), box.bundle() + "/other.pid");
  expect(box.failure(again), Code::kAlreadyExists, Kind::kNone, "this id is taken");
  box.start();
  EXPECT_NO_THROW(box.check_run(state_command(box.runtime(), box.id())));
  expect(box.failure(start_command(box.runtime(), box.id())), Code::kFailedPrecondition,
         Kind::kTask, "started before");
  expect(box.failure(delete_command(box.runtime(), box.id(), false)), Code::kFailedPrecondition,
         Kind::kTask, "still runs");
  Error signal = box.failure(kill_command(box.runtime(), box.id(), 99, false));
  expect(signal, Code::kInvalidArgument, Kind::kNone, "no such signal");
  box.check_run(kill_command(box.runtime(), box.id(), 9, false));
  box.wait_end();
  Error late = box.failure(start_command(box.runtime(), box.id()));
  EXPECT_EQ(late.code(), Code::kFailedPrecondition) << late.message();
  box.remove();
}

INSTANTIATE_TEST_SUITE_P(All, RuntimeTexts, testing::ValuesIn(runtimes()),
                         [](const auto& run) { return run.param; });

}  // namespace
}  // namespace ctrd::oci
