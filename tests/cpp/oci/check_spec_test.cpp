// SPDX-License-Identifier: Apache-2.0
// Rows 22 to 65 of reliability.md D8, each as a merge patch that spoils a good spec, and the field
// that the error names.
#include "oci/check_spec.h"

#include <gtest/gtest.h>

#include "oci/default_spec.h"
#include "oci/scratch.h"
#include "oci/spec.h"

namespace ctrd::oci {
namespace {

Json good_spec() {
  SpecOptions options;
  options.args = {"/bin/true"};
  return default_spec(options, "box", "/ctrd-123456-ns-box", -1);
}

struct Bad {
  const char* patch;
  const char* field;
  Code code = Code::kInvalidArgument;
};
const Bad kBad[] = {
    {R"({"ociVersion":"9.9"})", "spec.ociVersion"},
    {R"({"ociVersion":null})", "spec.ociVersion"},
    {R"({"process":null})", "spec.process"},
    {R"({"process":[]})", "spec.process"},
    {R"({"root":{"path":"/"}})", "spec.root.path"},
    {R"({"root":{"path":"../x"}})", "spec.root.path"},
    {R"({"root":null})", "spec.root.path"},
    {R"({"hostname":"12345678901234567890123456789012345678901234567890123456789012345"})",
     "spec.hostname"},
    {R"({"linux":null})", "spec.linux"},
    {R"({"linux":{"namespaces":[{"type":"disk"}]}})", "spec.linux.namespaces[0].type"},
    {R"({"linux":{"namespaces":[{"type":"pid"},{"type":"pid"}]}})",
     "spec.linux.namespaces[1].type"},
    {R"({"linux":{"namespaces":[{"type":"pid","path":"/etc/passwd"}]}})",
     "spec.linux.namespaces[0].path"},
    {R"({"linux":{"namespaces":[{"type":"pid","path":"x"}]}})", "spec.linux.namespaces[0].path"},
    {R"({"linux":{"namespaces":["pid"]}})", "spec.linux.namespaces[0]"},
    {R"({"linux":{"cgroupsPath":"/ctrd-x/../y"}})", "spec.linux.cgroupsPath"},
    {R"({"linux":{"cgroupsPath":".."}})", "spec.linux.cgroupsPath"},
    {R"({"linux":{"cgroupsPath":"/other"}})", "spec.linux.cgroupsPath"},
    {R"({"linux":{"cgroupsPath":null}})", "spec.linux.cgroupsPath"},
    {R"({"linux":{"resources":{"memory":{"limit":-2}}}})", "spec.linux.resources.memory.limit"},
    {R"({"linux":{"resources":{"memory":{"limit":1.5}}}})", "spec.linux.resources.memory.limit"},
    {R"({"linux":{"resources":{"pids":{"limit":0}}}})", "spec.linux.resources.pids.limit"},
    {R"({"linux":{"resources":{"pids":{"limit":-2}}}})", "spec.linux.resources.pids.limit"},
    {R"({"linux":{"resources":{"cpu":{"quota":1}}}})", "spec.linux.resources.cpu.quota"},
    {R"({"linux":{"sysctl":{"kernel.core_pattern":"x"}}})", "spec.linux.sysctl"},
    {R"({"linux":{"sysctl":{"net.a+b":"x"}}})", "spec.linux.sysctl"},
    {R"({"linux":{"sysctl":{"net.a":"b+c=d"}}})", "spec.linux.sysctl.net.a"},
    {R"({"linux":{"sysctl":{"net.a":1}}})", "spec.linux.sysctl.net.a"},
    {R"({"linux":{"sysctl":{"kernel.sem":"1"},"namespaces":[{"type":"mount"}]}})",
     "spec.linux.sysctl"},
    {R"({"linux":{"devices":[{"type":"x","path":"/dev/x"}]}})", "spec.linux.devices[0].type"},
    {R"({"linux":{"devices":[{"type":"c","path":"x"}]}})", "spec.linux.devices[0].path"},
    {R"({"linux":{"seccomp":{"defaultAction":"SCMP_ACT_FOO"}}})",
     "spec.linux.seccomp.defaultAction"},
    {R"({"linux":{"maskedPaths":["x"]}})", "spec.linux.maskedPaths[0]"},
    {R"({"hooks":{"prestart":[{"path":"x"}]}})", "spec.hooks.prestart[0].path"},
    {R"({"annotations":{"a":1}})", "spec.annotations.a"},
    {R"({"annotations":{"ctrd.seccomp":"no"}})", "spec.annotations.ctrd.seccomp"},
    {R"({"annotations":{"ctrd.seccomp":"custom"}})", "spec.linux.seccomp"},
    {R"({"mounts":[]})", "spec.mounts", Code::kFailedPrecondition},
    {R"({"mounts":null})", "spec.mounts", Code::kFailedPrecondition},
    {R"({"mounts":[{"type":"tmpfs"}]})", "spec.mounts[0].destination"},
    {R"({"mounts":[{"destination":"x"}]})", "spec.mounts[0].destination"},
    {R"({"mounts":[{"destination":"/proc","type":"tmpfs"}]})", "spec.mounts[0].destination"},
    {R"({"mounts":[{"destination":"/proc/sys","type":"proc"}]})", "spec.mounts[0].destination"},
    {R"({"mounts":[{"destination":"/x","type":"tmpfs","options":["size=1,mode=7"]}]})",
     "spec.mounts[0].options[0]"},
    {R"({"mounts":[{"destination":"/x","type":"bind","source":"/nope/no"}]})",
     "spec.mounts[0].source", Code::kNotFound},
    {R"({"mounts":[{"destination":"/x","type":"none","source":"/nope/no","options":["rbind"]}]})",
     "spec.mounts[0].source", Code::kNotFound},
};

TEST(CheckSpec, bad_ones_name_their_field) {
  for (const Bad& bad : kBad) {
    Json spec = good_spec();
    spec.merge_patch(Json::parse(bad.patch));
    Error error = error_of([&] { check_spec(spec.dump()); });
    EXPECT_EQ(error.code(), bad.code) << bad.patch << error.message();
    EXPECT_EQ(error.find("field"), bad.field) << bad.patch << error.message();
  }
}

TEST(CheckSpec, no_spec_at_all) {
  for (const char* text : {"", "null", "[]", "1", "{}", "{\"ociVersion\":\"1.0.2\"}"}) {
    EXPECT_EQ(error_of([&] { check_spec(text); }).code(), Code::kInvalidArgument) << text;
  }
}

const char* kGood[] = {
    "{}",
    R"({"linux":{"sysctl":{"net.ipv4.ip_forward":"1","kernel.sem":"1 2 3 4","fs.mqueue.msg_max":"5"}}})",
    R"({"linux":{"namespaces":[{"type":"mount"},{"type":"network","path":"/proc/self/ns/net"}]}})",
    R"({"linux":{"resources":{"memory":{"limit":-1}},"devices":[{"type":"c","path":"/dev/fuse","major":10,"minor":229}]}})",
    R"({"annotations":{"ctrd.dev":"rootfs"},"mounts":[]})",
    R"({"hooks":{"poststop":[{"path":"/bin/true"}]}})",
};

TEST(CheckSpec, good_ones) {
  for (const char* patch : kGood) {
    Json spec = good_spec();
    spec.merge_patch(Json::parse(patch));
    EXPECT_NO_THROW(check_spec(spec.dump())) << patch;
  }
}

}  // namespace
}  // namespace ctrd::oci
