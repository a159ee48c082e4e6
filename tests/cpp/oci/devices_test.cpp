// SPDX-License-Identifier: Apache-2.0
#include "oci/devices.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "oci/scratch.h"
#include "oci/spec.h"

namespace ctrd::oci {
namespace {

using testing::HasSubstr;

SpecOptions with_devices(std::vector<std::string> devices) {
  SpecOptions options;
  options.args = {"true"};
  options.devices = std::move(devices);
  return options;
}

TEST(Devices, nodes_and_rules) {
  SpecOptions options = with_devices({"/dev/full", "/dev/loop0:/dev/disk:r"});
  Json nodes = devices_json(options), rules = Json::array();
  EXPECT_EQ(nodes[0]["path"], "/dev/full");
  EXPECT_EQ(nodes[0]["type"], "c");
  EXPECT_EQ(nodes[1]["path"], "/dev/disk");
  EXPECT_EQ(nodes[1]["type"], "b");
  EXPECT_EQ(nodes[1]["major"], 7);
  add_device_rules(rules, options);
  EXPECT_EQ(rules[1].dump(), R"({"access":"r","allow":true,"major":7,"minor":0,"type":"b"})");
}

TEST(Devices, bad_ones) {
  for (const char* bad :
       {"", "dev/full", "/dev/full:x", "/dev/full:/dev/x:rwx", "/dev/full:/dev/x:", "/etc/passwd",
        "/dev", "/dev/full:/proc/x", "/dev/full:/"}) {
    Error error = error_of([&] { devices_json(with_devices({bad})); });
    EXPECT_EQ(error.code(), Code::kInvalidArgument) << bad;
    EXPECT_EQ(error.find("field"), "devices") << bad;
  }
  EXPECT_EQ(error_of([] { devices_json(with_devices({"/dev/nosuch"})); }).code(), Code::kNotFound);
}

TEST(Sysctls, only_the_containers_own) {
  SpecOptions options = with_devices({});
  options.sysctls = {{"net.ipv4.ip_forward", "1"}, {"kernel.msgmax", "9000"}};
  Json spec = Json::parse(make_spec(options, "box", "/ctrd-a-b-c", -1));
  EXPECT_EQ(spec["linux"]["sysctl"].size(), 2u);
  using Sysctls = std::map<std::string, std::string>;
  for (const Sysctls& bad : {Sysctls{{"kernel.core_pattern", "x"}},
                             {{"a=b+c", "1"}},
                             {{"net.ipv4.ip_forward", "a=b+c"}},
                             {{"net/../../x", "1"}},
                             {{"", "1"}}}) {
    options.sysctls = bad;
    Error error = error_of([&] { make_spec(options, "box", "/ctrd-a-b-c", -1); });
    EXPECT_EQ(error.code(), Code::kInvalidArgument) << bad.begin()->first;
    EXPECT_THAT(std::string(error.find("field")), HasSubstr("sysctls")) << error.message();
  }
  options.sysctls = {{"net.ipv4.ip_forward", "1"}};
  options.network = "host";
  EXPECT_EQ(error_of([&] { make_spec(options, "box", "/ctrd-a-b-c", -1); }).code(),
            Code::kInvalidArgument);
}

TEST(Init, config_has_it_and_the_spec_does_not) {
  SpecOptions options = with_devices({});
  options.init = true;
  std::string spec = make_spec(options, "box", "/ctrd-a-b-c", -1);
  EXPECT_EQ(spec_facts(spec).args.size(), 1u);
  Json config = Json::parse(make_config(spec, false, "/shim"));
  EXPECT_EQ(config["process"]["args"].dump(), R"(["/dev/ctrd-init","init","--","true"])");
  EXPECT_EQ(config["mounts"].back()["source"], "/shim");
  EXPECT_EQ(error_of([&] { make_config(spec, false); }).code(), Code::kFailedPrecondition);
}

class GivenDevices : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { scratch_.make_rootfs(); }
  std::string say(const std::string& script, SpecOptions options) {
    options.args = {"/bin/sh", "-c", script};
    RealContainer box(scratch_, GetParam());
    box.configure(options);
    box.create();
    box.start();
    box.wait_end();
    box.remove();
    return box.output();
  }
  Scratch scratch_;
};

TEST_P(GivenDevices, work_as_far_as_their_access_goes) {
  std::string said =
      say("stat -c '%F %t:%T' /dev/own /dev/disk; : < /dev/disk && echo read; true > /dev/disk; ls "
          "/dev/kmsg",
          with_devices({"/dev/full:/dev/own", "/dev/loop0:/dev/disk:r"}));
  EXPECT_THAT(said, HasSubstr("character special file 1:7\nblock special file 7:0\nread\n"));
  EXPECT_THAT(said, HasSubstr("/dev/disk: Operation not permitted"));
  EXPECT_THAT(said, HasSubstr("/dev/kmsg: No such file"));
}

TEST_P(GivenDevices, sysctls_hold) {
  SpecOptions options = with_devices({});
  options.sysctls = {{"net.ipv4.ip_forward", "1"}, {"kernel.msgmax", "9000"}};
  EXPECT_THAT(say("cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax", options),
              HasSubstr("1\n9000\n"));
}

TEST_P(GivenDevices, privileged_is_what_root_is) {
  SpecOptions options = with_devices({});
  options.privileged = true;
  std::string said =
      say("grep -E 'CapEff|NoNewPrivs|Seccomp:' /proc/self/status; stat -c %F /dev/loop0; cat "
          "/dev/loop0 && "
          "echo opened; mount -t tmpfs x /bin/folder && echo mounted; grep -E ' /sys sysfs r' "
          "/proc/mounts; "
          "grep -c timer_list /proc/mounts; cat /proc/1/status | grep CapBnd",
          options);
  EXPECT_THAT(said, HasSubstr("NoNewPrivs:\t0\nSeccomp:\t0"));
  EXPECT_THAT(said, HasSubstr("block special file\nopened\nmounted\n"));
  EXPECT_THAT(said, HasSubstr(" /sys sysfs rw"));
  EXPECT_THAT(said, HasSubstr("\n0\nCapBnd"));
}

INSTANTIATE_TEST_SUITE_P(All, GivenDevices, testing::ValuesIn(runtimes()),
                         [](const auto& run) { return run.param; });

}  // namespace
}  // namespace ctrd::oci
