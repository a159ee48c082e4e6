// SPDX-License-Identifier: Apache-2.0
#include "oci/exec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "oci/json.h"
#include "oci/scratch.h"
#include "oci/spec.h"

namespace ctrd::oci {
namespace {

using testing::HasSubstr;
using testing::Not;

ExecOptions options_of(std::vector<std::string> args) {
  ExecOptions options;
  options.args = std::move(args);
  return options;
}

class Exec : public testing::Test {
 protected:
  void SetUp() override {
    scratch_.make_rootfs();
    root_ = open_dir(scratch_.path() + "/rootfs");
    base_.args = {"/bin/sleep", "1000"};
    base_.env = {{"A", "1"}, {"B", "2"}};
    base_.cwd = "/bin";
  }
  Json process(const ExecOptions& options) {
    std::string config = make_config(make_spec(base_, "box", "/ctrd-a-b-c", root_.get()), false);
    return parse_json(exec_process_json(config, options, root_.get()), "process");
  }
  Error refused(const ExecOptions& options) {
    return error_of([&] { process(options); });
  }
  Scratch scratch_;
  UniqueFd root_;
  SpecOptions base_;
};

TEST_F(Exec, the_container_is_the_base) {
  base_.user = "ann";
  base_.rlimits["NPROC"] = {5, 6};
  Json made = process(options_of({"id", "-u"}));
  EXPECT_EQ(made["args"].dump(), R"(["id","-u"])");
  EXPECT_EQ(made["cwd"], "/bin");
  EXPECT_EQ(made["user"].dump(), R"({"additionalGids":[1001,10],"gid":1001,"uid":1000})");
  EXPECT_EQ(made["noNewPrivileges"], true);
  EXPECT_EQ(made["terminal"], false);
  EXPECT_EQ(made["rlimits"].size(), 2u);
  EXPECT_EQ(made["capabilities"]["bounding"].size(), 14u);
  EXPECT_THAT(made["env"].dump(), HasSubstr(R"("A=1","B=2"])"));
}

TEST_F(Exec, changes_are_over_it) {
  ExecOptions options = options_of({"id"});
  options.env = {{"A", std::nullopt}, {"B", "3"}, {"C", ""}};
  options.cwd = "/new";
  options.user = "ann:wheel";
  options.cap_add = {"net_admin", "CAP_KILL"};
  Json made = process(options);
  EXPECT_THAT(made["env"].dump(), HasSubstr(R"("B=3","C="])"));
  EXPECT_THAT(made["env"].dump(), Not(HasSubstr("A=1")));
  EXPECT_EQ(made["cwd"], "/new");
  EXPECT_EQ(made["user"].dump(), R"({"additionalGids":[10],"gid":10,"uid":1000})");
  for (const char* set : {"bounding", "effective", "permitted"}) {
    EXPECT_EQ(made["capabilities"][set].size(), 15u);
  }
  EXPECT_FALSE(made["capabilities"].contains("ambient"));
}

TEST_F(Exec, terminals) {
  ExecOptions options = options_of({"sh"});
  options.console_size = {100, 40};
  EXPECT_FALSE(process(options).contains("consoleSize"));
  options.tty = true;
  Json made = process(options);
  EXPECT_EQ(made["terminal"], true);
  EXPECT_EQ(made["consoleSize"].dump(), R"({"height":40,"width":100})");
  EXPECT_THAT(made["env"].dump(), HasSubstr("TERM=xterm"));
  options.env = {{"TERM", "dumb"}};
  EXPECT_THAT(process(options)["env"].dump(), Not(HasSubstr("xterm")));
  base_.tty = true;
  base_.console_size = {80, 24};
  made = process(options_of({"sh"}));
  EXPECT_EQ(made["terminal"], false);
  EXPECT_FALSE(made.contains("consoleSize"));
}

TEST_F(Exec, bad_input) {
  struct Row {
    void (*change)(ExecOptions&);
    Code code;
    const char* field;
  };
  const Row rows[] = {
      {[](ExecOptions& o) { o.args = {}; }, Code::kInvalidArgument, "args"},
      {[](ExecOptions& o) { o.args = {""}; }, Code::kInvalidArgument, "args"},
      {[](ExecOptions& o) { o.args = {std::string("a\0b", 3)}; }, Code::kInvalidArgument, "args"},
      {[](ExecOptions& o) { o.args = {"a\xff"}; }, Code::kInvalidArgument, "args"},
      {[](ExecOptions& o) { o.cwd = "x"; }, Code::kInvalidArgument, "cwd"},
      {[](ExecOptions& o) { o.cwd = ""; }, Code::kInvalidArgument, "cwd"},
      {[](ExecOptions& o) { o.cwd = "/proc/self/fd/7"; }, Code::kInvalidArgument, "cwd"},
      {[](ExecOptions& o) {
         o.env = {{"A=B", "c"}};
       },
       Code::kInvalidArgument, "env"},
      {[](ExecOptions& o) {
         o.env = {{"", "c"}};
       },
       Code::kInvalidArgument, "env"},
      {[](ExecOptions& o) {
         o.env = {{"A", std::string(140000, 'x')}};
       },
       Code::kResourceExhausted, "env"},
      {[](ExecOptions& o) { o.user = "-1"; }, Code::kInvalidArgument, "user"},
      {[](ExecOptions& o) { o.user = "2147483648"; }, Code::kInvalidArgument, "user"},
      {[](ExecOptions& o) { o.user = "nosuch"; }, Code::kNotFound, "user"},
      {[](ExecOptions& o) { o.user = "ann:nosuch"; }, Code::kNotFound, "user"},
      {[](ExecOptions& o) { o.cap_add = {"FOO"}; }, Code::kInvalidArgument, "cap_add"},
  };
  for (const Row& row : rows) {
    ExecOptions options = options_of({"id"});
    row.change(options);
    Error error = refused(options);
    EXPECT_EQ(error.code(), row.code) << error.message();
    EXPECT_EQ(error.find("field"), row.field) << error.message();
  }
}

TEST_F(Exec, a_number_is_never_a_name) {
  scratch_.write("rootfs/etc/passwd", "4242:x:0:0::/:\n");
  ExecOptions options = options_of({"id"});
  options.user = "4242";
  EXPECT_EQ(process(options)["user"]["uid"], 4242);
}

TEST(ExecBase, must_be_a_config) {
  for (const char* bad : {"{}", "[]", "null", R"({"process":5})", "", "{"}) {
    EXPECT_EQ(error_of([&] { exec_process_json(bad, options_of({"id"}), -1); }).code(),
              Code::kInvalidArgument)
        << bad;
  }
}

class RealExec : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { scratch_.make_rootfs(); }
  Scratch scratch_;
};

TEST_P(RealExec, runtimes_take_it) {
  RealContainer box(scratch_, GetParam());
  SpecOptions base;
  base.args = {"/bin/sleep", "1000"};
  box.configure(base);
  box.create();
  box.start();
  ExecOptions options = options_of({"/bin/sh", "-c",
                                    "id; pwd; echo $A-$PATH; ulimit -n; grep -E "
                                    "'CapBnd|NoNewPrivs|Seccomp:' /proc/self/status; exit 7"});
  options.user = "ann";
  options.cwd = "/bin";
  options.env = {{"A", "b c"}, {"PATH", "/bin"}};
  options.cap_add = {"SYS_PTRACE"};
  UniqueFd root = open_dir(scratch_.path() + "/rootfs");
  scratch_.write("process.json", exec_process_json(box.config(), options, root.get()));
  const Runtime runtime = box.runtime();
  Command exec{Verb::kExec,
               {runtime.binary, "--root", runtime.root, "exec", "--process",
                box.bundle() + "/process.json", "box"},
               "",
               verb_deadline(Verb::kExec)};
  EXPECT_EQ(box.run(exec).status, 7);
  std::string said = box.output();
  EXPECT_THAT(said, HasSubstr("uid=1000(ann) gid=1001(ann) groups=10(wheel),1001(ann)\n/bin\n"
                              "b c-/bin\n1024\n"));
  EXPECT_THAT(said, HasSubstr("CapBnd:\t00000000a80c25fb"));
  EXPECT_THAT(said, HasSubstr("NoNewPrivs:\t1\nSeccomp:\t2"));
  box.remove();
}

INSTANTIATE_TEST_SUITE_P(All, RealExec, testing::ValuesIn(runtimes()),
                         [](const auto& run) { return run.param; });

}  // namespace
}  // namespace ctrd::oci
