// SPDX-License-Identifier: Apache-2.0
// What a container really gets from the default spec, asked from inside, with each runtime. Source:
// reliability.md C7.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/mount.h"
#include "oci/scratch.h"

namespace ctrd::oci {
namespace {

using testing::HasSubstr;
using testing::Not;

class EffectiveDefaults : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { scratch_.make_rootfs(); }
  // The output of a shell script in a container made from these options.
  std::string say(const std::string& script, SpecOptions options = {}) {
    options.args = {"/bin/sh", "-c", script};
    RealContainer box(scratch_, GetParam());
    box.configure(options);
    box.create();
    box.start();
    box.wait_end();
    box.remove();
    return box.output();
  }
  // Without 32 and 33, which are glibc's own: it refuses to reset them, so they are as this process
  // inherited them.
  static uint64_t ignored_signals(const std::string& status) {
    uint64_t mask = std::stoull(status.substr(status.find("SigIgn:") + 7), nullptr, 16);
    return mask & ~(3ull << 31);
  }
  Scratch scratch_;
};

TEST_P(EffectiveDefaults, process_has_few_privileges) {
  std::string status = say("cat /proc/self/status; umask; hostname; id; ls /proc/self/fd | wc -l");
  EXPECT_THAT(status, HasSubstr("CapInh:\t0000000000000000"));
  EXPECT_THAT(status, HasSubstr("CapPrm:\t00000000a80425fb"));
  EXPECT_THAT(status, HasSubstr("CapEff:\t00000000a80425fb"));
  EXPECT_THAT(status, HasSubstr("CapBnd:\t00000000a80425fb"));
  EXPECT_THAT(status, HasSubstr("CapAmb:\t0000000000000000"));
  EXPECT_THAT(status, HasSubstr("NoNewPrivs:\t1"));
  EXPECT_THAT(status, HasSubstr("Seccomp:\t2"));
  EXPECT_THAT(status, HasSubstr("SigBlk:\t0000000000000000"));
  EXPECT_EQ(ignored_signals(status), 0u);
  EXPECT_THAT(status, HasSubstr("0022\nbox\nuid=0(root) gid=0(root) groups=0(root)\n4\n"));
}

TEST_P(EffectiveDefaults, mounts_are_fresh_and_restricted) {
  std::string mounts =
      say("cat /proc/mounts; cat /proc/keys | wc -c; ls /sys/firmware | wc -l; ls /dev");
  EXPECT_THAT(mounts, HasSubstr("proc /proc proc rw,nosuid,nodev,noexec"));
  EXPECT_THAT(mounts, HasSubstr(" /dev tmpfs rw,nosuid"));
  EXPECT_THAT(mounts, HasSubstr(" /dev/pts devpts rw,nosuid,noexec"));
  EXPECT_THAT(mounts, HasSubstr(" /dev/shm tmpfs rw,nosuid,nodev,noexec"));
  EXPECT_THAT(mounts, HasSubstr(" /dev/mqueue mqueue rw,nosuid,nodev,noexec"));
  EXPECT_THAT(mounts, HasSubstr(" /sys sysfs ro,nosuid,nodev,noexec"));
  EXPECT_THAT(mounts, HasSubstr(" /run tmpfs rw,nosuid"));
  EXPECT_THAT(mounts, HasSubstr("proc /proc/sys proc ro"));
  EXPECT_THAT(mounts, HasSubstr(" /proc/timer_list "));
  EXPECT_THAT(mounts, HasSubstr(" /proc/keys "));
  EXPECT_THAT(mounts, HasSubstr(" /sys/fs/cgroup "));
  EXPECT_THAT(mounts, HasSubstr("\n0\n0\n"));
  for (const char* node :
       {"null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts", "shm"}) {
    EXPECT_THAT(mounts, HasSubstr("\n" + std::string(node) + "\n"));
  }
}

TEST_P(EffectiveDefaults, dangerous_calls_are_refused) {
  std::string tries =
      say("mknod /mem c 1 1; cat /mem; mknod /disk b 8 0; cat /disk; mount -t tmpfs x /bin/folder; "
          "unshare -m true;"
          "echo 1 > /proc/sys/kernel/panic; echo x > /sys/kernel/x; dd if=/dev/zero of=/dev/null "
          "bs=1 count=1");
  EXPECT_THAT(tries, HasSubstr("/mem': Operation not permitted"));
  EXPECT_THAT(tries, HasSubstr("/disk': Operation not permitted"));
  EXPECT_THAT(tries, HasSubstr("mount: permission denied (are you root?)"));
  EXPECT_THAT(tries, HasSubstr("unshare: unshare(0x20000): Operation not permitted"));
  EXPECT_THAT(tries, HasSubstr("/proc/sys/kernel/panic: Read-only file system"));
  EXPECT_THAT(tries, HasSubstr("1+0 records out"));
}

TEST_P(EffectiveDefaults, limits_and_network) {
  std::string said =
      say("ulimit -n; ulimit -Hn; ls /sys/class/net; cat /proc/net/route | wc -l; env");
  EXPECT_THAT(said, HasSubstr("1024\n1024\nlo\n1\n"));
  EXPECT_THAT(said,
              HasSubstr("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"));
  EXPECT_THAT(said, Not(HasSubstr("TERM=")));
}

TEST_P(EffectiveDefaults, loopback_is_up) {
  EXPECT_THAT(say("cat /sys/class/net/lo/flags"), HasSubstr("0x9\n"));
}

TEST_P(EffectiveDefaults, options_reach_the_container) {
  SpecOptions options;
  options.user = "ann";
  options.cwd = "/new/folder";
  options.hostname = "harbour";
  options.network = "host";
  options.read_only = true;
  options.cap_drop = {"ALL"};
  options.cap_add = {"net_admin"};
  options.rlimits["NOFILE"] = {100, 200};
  options.env = {{"A", "b c"}, {"PATH", "/bin"}};
  scratch_.write("shared/file", "from the host\n");
  options.mounts = {{.type = "bind",
                     .source = scratch_.path() + "/shared",
                     .destination = "/shared",
                     .read_only = true},
                    {.type = "bind",
                     .source = scratch_.path() + "/shared/file",
                     .destination = "/one",
                     .read_only = true},
                    {.type = "tmpfs", .destination = "/scratch", .size_bytes = 1 << 20}};
  std::string said = say(
      "id; pwd; hostname; ls /sys/class/net; grep Cap /proc/self/status; ulimit -n; ulimit -Hn;"
      "echo $A; cat /shared/file /one; echo x > /shared/file; echo x > /file; echo y > /scratch/f;"
      "cat /proc/mounts",
      options);
  EXPECT_THAT(
      said,
      HasSubstr("uid=1000(ann) gid=1001(ann) groups=10(wheel),1001(ann)\n/new/folder\nharbour\n"));
  EXPECT_THAT(said, HasSubstr("CapEff:\t0000000000000000"));
  EXPECT_THAT(said, HasSubstr("CapBnd:\t0000000000001000"));
  EXPECT_THAT(said, HasSubstr("100\n200\nb c\nfrom the host\nfrom the host\n"));
  EXPECT_THAT(said, HasSubstr("/shared/file: Read-only file system"));
  EXPECT_THAT(said, HasSubstr("/file: Read-only file system"));
  EXPECT_THAT(said, HasSubstr(" /scratch tmpfs rw,nosuid,nodev,relatime,size=1024k"));
}

TEST_P(EffectiveDefaults, read_only_bind_holds_for_what_is_mounted_below) {
  scratch_.write("shared/sub/file", "x");
  std::string source = scratch_.path() + "/shared";
  mount_all({{.type = "tmpfs", .source = "tmpfs", .target = "", .options = {}}}, source + "/sub");
  SpecOptions options;
  options.mounts = {{.type = "bind", .source = source, .destination = "/m", .read_only = true}};
  EXPECT_THAT(say("echo x > /m/sub/new", options), HasSubstr("/m/sub/new: Read-only file system"));
  unmount_all(source + "/sub");
}

TEST_P(EffectiveDefaults, unconfined_has_no_filter) {
  SpecOptions options;
  options.seccomp = "unconfined";
  options.no_new_privileges = false;
  std::string status = say("cat /proc/self/status", options);
  EXPECT_THAT(status, HasSubstr("Seccomp:\t0"));
  EXPECT_THAT(status, HasSubstr("NoNewPrivs:\t0"));
}

TEST_P(EffectiveDefaults, capabilities_widen_the_filter) {
  SpecOptions options;
  options.cap_add = {"SYS_ADMIN"};
  EXPECT_THAT(say("mount -t tmpfs x /bin/folder && grep folder /proc/mounts; unshare -m true && "
                  "echo unshared",
                  options),
              testing::AllOf(HasSubstr("/bin/folder tmpfs"), HasSubstr("unshared")));
}

INSTANTIATE_TEST_SUITE_P(All, EffectiveDefaults, testing::ValuesIn(runtimes()),
                         [](const auto& run) { return run.param; });

}  // namespace
}  // namespace ctrd::oci
