// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "oci/check_spec.h"
#include "oci/scratch.h"

namespace ctrd::oci {
namespace {

Error refused(const std::string& patch) {
  Json spec = Json::parse(R"({"process":{"args":["/bin/true"],"cwd":"/","env":["A=b"]}})");
  spec["process"].merge_patch(Json::parse(patch));
  return error_of([&] { check_process({&spec, "spec"}); });
}

struct Bad {
  const char* patch;
  const char* field;
};
const Bad kBad[] = {
    {R"({"args":[]})", "spec.process.args"},
    {R"({"args":null})", "spec.process.args"},
    {R"({"args":[""]})", "spec.process.args[0]"},
    {R"({"args":["a\u0000b"]})", "spec.process.args[0]"},
    {R"({"args":[7]})", "spec.process.args[0]"},
    {R"({"env":["AB"]})", "spec.process.env[0]"},
    {R"({"env":["=B"]})", "spec.process.env[0]"},
    {R"({"env":{"A":"B"}})", "spec.process.env"},
    {R"({"cwd":"x"})", "spec.process.cwd"},
    {R"({"cwd":null})", "spec.process.cwd"},
    {R"({"cwd":"/proc/self/fd/7"})", "spec.process.cwd"},
    {R"({"user":{"uid":-1}})", "spec.process.user.uid"},
    {R"({"user":{"uid":2147483648}})", "spec.process.user.uid"},
    {R"({"user":{"gid":4294967296}})", "spec.process.user.gid"},
    {R"({"user":{"uid":"0"}})", "spec.process.user.uid"},
    {R"({"user":{"additionalGids":[18446744073709551615]}})",
     "spec.process.user.additionalGids[0]"},
    {R"({"user":{"additionalGids":["x"]}})", "spec.process.user.additionalGids[0]"},
    {R"({"rlimits":[{"type":"RLIMIT_FOO","soft":1,"hard":1}]})", "spec.process.rlimits[0].type"},
    {R"({"rlimits":[{"type":"RLIMIT_NOFILE","soft":2,"hard":1}]})", "spec.process.rlimits[0].soft"},
    {R"({"rlimits":[{"type":"RLIMIT_NOFILE","soft":-2,"hard":1}]})",
     "spec.process.rlimits[0].soft"},
    {R"({"rlimits":[{"type":"RLIMIT_NOFILE","soft":2}]})", "spec.process.rlimits[0].hard"},
    {R"({"capabilities":{"bounding":["CAP_FOO"]}})", "spec.process.capabilities.bounding[0]"},
    {R"({"capabilities":["CAP_CHOWN"]})", "spec.process.capabilities"},
    {R"({"oomScoreAdj":2000})", "spec.process.oomScoreAdj"},
};

TEST(CheckProcess, bad_ones_name_their_field) {
  for (const Bad& bad : kBad) {
    Error error = refused(bad.patch);
    EXPECT_EQ(error.code(), Code::kInvalidArgument) << bad.patch;
    EXPECT_EQ(error.find("field"), bad.field) << bad.patch;
  }
}

TEST(CheckProcess, too_big) {
  Error one = refused(Json{{"env", {"A=" + std::string(131070, 'x')}}}.dump());
  EXPECT_EQ(one.code(), Code::kResourceExhausted);
  EXPECT_EQ(one.find("field"), "env");
  std::vector<std::string> many(30, "A=" + std::string(100000, 'x'));
  EXPECT_EQ(refused(Json{{"env", many}}.dump()).code(), Code::kResourceExhausted);
  EXPECT_EQ(refused(Json{{"args", {std::string(131072, 'x')}}}.dump()).find("field"), "args");
}

}  // namespace
}  // namespace ctrd::oci
