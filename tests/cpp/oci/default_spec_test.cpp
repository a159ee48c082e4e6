// SPDX-License-Identifier: Apache-2.0
#include "oci/default_spec.h"

#include <gtest/gtest.h>

#include "oci/scratch.h"

namespace ctrd::oci {
namespace {

constexpr const char* kCgroup = "/ctrd-123456-ns-box";

SpecOptions plain() {
  SpecOptions options;
  options.args = {"/bin/true"};
  return options;
}
Json spec_of(const SpecOptions& options, std::string_view id = "box") {
  return default_spec(options, id, kCgroup, -1);
}

void expect_refused(const SpecOptions& options, const char* field) {
  Error error = error_of([&] { spec_of(options); });
  EXPECT_EQ(error.code(), Code::kInvalidArgument) << error.message();
  EXPECT_EQ(error.find("field"), field) << error.message();
}

TEST(DefaultSpec, plain) {
  Json spec = spec_of(plain());
  EXPECT_EQ(spec["process"]["args"].dump(), R"(["/bin/true"])");
  EXPECT_EQ(spec["process"]["user"].dump(), R"({"additionalGids":[0],"gid":0,"uid":0})");
  EXPECT_EQ(spec["process"]["noNewPrivileges"], true);
  EXPECT_EQ(spec["process"]["terminal"], false);
  EXPECT_EQ(spec["process"]["cwd"], "/");
  EXPECT_EQ(spec["root"].dump(), R"({"path":"rootfs","readonly":false})");
  EXPECT_EQ(spec["hostname"], "box");
  EXPECT_EQ(spec["annotations"].dump(), R"({"ctrd.seccomp":"default"})");
  EXPECT_EQ(spec["linux"]["cgroupsPath"], kCgroup);
  EXPECT_FALSE(spec["linux"].contains("seccomp"));
}

TEST(DefaultSpec, hostname_is_cut) {
  EXPECT_EQ(spec_of(plain(), std::string(76, 'a'))["hostname"], std::string(63, 'a'));
  SpecOptions options = plain();
  options.hostname = std::string(64, 'b');
  EXPECT_EQ(spec_of(options)["hostname"], options.hostname);
  for (const std::string& bad :
       {std::string(65, 'b'), std::string("a b"), std::string("a\0", 2), std::string("\n")}) {
    options.hostname = bad;
    expect_refused(options, "hostname");
  }
}

TEST(DefaultSpec, environment) {
  SpecOptions options = plain();
  options.tty = true;
  options.env = {
      {"A", "1"}, {"PATH", std::nullopt}, {"A", "2"}, {"EMPTY", ""}, {"NONE", std::nullopt}};
  EXPECT_EQ(spec_of(options)["process"]["env"].dump(), R"(["TERM=xterm","A=2","EMPTY="])");
  for (const std::string& name :
       {std::string(""), std::string("A=B"), std::string("A\0", 2), std::string("\xff")}) {
    options.env = {{name, "x"}};
    expect_refused(options, "env");
  }
  options.env = {{"A", std::string("\0", 1)}};
  expect_refused(options, "env");
}

TEST(DefaultSpec, arguments) {
  SpecOptions options;
  expect_refused(options, "args");
  for (const std::string& bad : {std::string(""), std::string("a\0b", 3), std::string("\xff")}) {
    options.args = {bad};
    expect_refused(options, "args");
  }
  options.args = {"x", ""};
  EXPECT_NO_THROW(spec_of(options));
}

TEST(DefaultSpec, working_directory) {
  SpecOptions options = plain();
  for (const std::string& bad :
       {std::string(""), std::string("x"), std::string("/proc/self/fd/7"), std::string("/proc"),
        std::string("/a/../proc/1"), std::string("//proc/x"), std::string("/a\0", 3)}) {
    options.cwd = bad;
    expect_refused(options, "cwd");
  }
}

TEST(DefaultSpec, terminal) {
  SpecOptions options = plain();
  options.tty = true;
  options.console_size = {{80, 25}};
  EXPECT_EQ(spec_of(options)["process"]["consoleSize"].dump(), R"({"height":25,"width":80})");
}

TEST(DefaultSpec, seccomp) {
  SpecOptions options = plain();
  options.seccomp = "unconfined";
  EXPECT_EQ(spec_of(options)["annotations"][kSeccompKey], "unconfined");
  options.seccomp = "strict";
  expect_refused(options, "seccomp");
  options.seccomp_json = R"({"defaultAction":"SCMP_ACT_ALLOW"})";
  EXPECT_EQ(spec_of(options)["annotations"][kSeccompKey], "custom");
  EXPECT_EQ(spec_of(options)["linux"]["seccomp"]["defaultAction"], "SCMP_ACT_ALLOW");
  options.seccomp_json = "[]";
  expect_refused(options, "seccomp");
  options.seccomp_json = "{";
  expect_refused(options, "seccomp");
}

TEST(DefaultSpec, annotations) {
  SpecOptions options = plain();
  options.annotations = {{"run.oci.x", "y"}};
  EXPECT_EQ(spec_of(options)["annotations"]["run.oci.x"], "y");
  options.annotations = {{"ctrd.seccomp", "unconfined"}};
  expect_refused(options, "annotations");
}

}  // namespace
}  // namespace ctrd::oci
