// SPDX-License-Identifier: Apache-2.0
#include "oci/probe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/cgroup.h"
#include "base/files.h"
#include "base/mount.h"
#include "oci/scratch.h"

namespace ctrd::oci {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* kPayload = "/bin/busybox";  // static; `busybox -v` ends at once

std::vector<std::string> probe_cgroups() {
  std::vector<std::string> found;
  for (const std::string& mount : cgroup_mounts()) {
    UniqueFd dir = open_dir(mount);
    for (const std::string& name : list_dir(dir.get())) {
      if (name.starts_with("ctrd-probe-")) found.push_back(mount + "/" + name);
    }
  }
  return found;
}

class ProbeRuntime : public testing::TestWithParam<std::string> {};

TEST_P(ProbeRuntime, works_here_and_leaves_nothing) {
  auto before = probe_cgroups();
  Scratch scratch;
  Probe probe = probe_runtime(GetParam(), kPayload, scratch.dir(), {});
  EXPECT_TRUE(probe.ok) << probe.reason;
  EXPECT_EQ(probe.reason, "");
  EXPECT_TRUE(probe.binary.starts_with('/')) << probe.binary;
  EXPECT_THAT(probe.version, HasSubstr(GetParam()));
  EXPECT_THAT(list_dir(scratch.dir()), IsEmpty());
  EXPECT_THAT(mounts_below(scratch.path()), IsEmpty());
  EXPECT_EQ(probe_cgroups(), before);  // others probe too
}

INSTANTIATE_TEST_SUITE_P(All, ProbeRuntime, testing::ValuesIn(runtimes()),
                         [](const auto& run) { return run.param; });

TEST(Probe, missing_runtime) {
  Scratch scratch;
  Probe probe = probe_runtime("no-such-runtime", kPayload, scratch.dir(), {});
  EXPECT_FALSE(probe.ok);
  EXPECT_EQ(probe.binary, "");
  EXPECT_THAT(probe.reason, HasSubstr("no-such-runtime"));
  EXPECT_THAT(list_dir(scratch.dir()), IsEmpty());
}

TEST(Probe, runtime_that_fails_is_quoted) {
  Scratch scratch;
  scratch.write("rt.sh",
                "#!/bin/sh\n[ \"$1\" = --version ] && { echo odd 7; exit 0; }\necho no luck today "
                ">&2\nexit 3\n",
                0755);
  Probe probe = probe_runtime(scratch.path() + "/rt.sh", kPayload, scratch.dir(), {});
  EXPECT_FALSE(probe.ok);
  EXPECT_EQ(probe.version, "odd 7");
  EXPECT_THAT(probe.reason, HasSubstr("create failed with exit status 3: no luck today"));
  EXPECT_THAT(list_dir(scratch.dir()), testing::ElementsAre("rt.sh"));
}

TEST(Probe, runtime_without_a_pid_file_fails) {
  Scratch scratch;
  scratch.write("rt.sh", "#!/bin/sh\nexit 0\n", 0755);
  Probe probe = probe_runtime(scratch.path() + "/rt.sh", kPayload, scratch.dir(), {});
  EXPECT_FALSE(probe.ok);
  EXPECT_THAT(probe.reason, HasSubstr("init.pid"));
}

TEST(Probe, runtime_that_hangs_is_ended) {
  Scratch scratch;
  scratch.write("rt.sh", "#!/bin/sh\n[ \"$1\" = --version ] && exit 0\nexec sleep 1000\n", 0755);
  Wait wait{after(std::chrono::milliseconds(200)), {}};
  Probe probe = probe_runtime(scratch.path() + "/rt.sh", kPayload, scratch.dir(), wait);
  EXPECT_FALSE(probe.ok);
  EXPECT_THAT(probe.reason, HasSubstr("create had not ended"));
  EXPECT_THAT(list_dir(scratch.dir()), testing::ElementsAre("rt.sh"));
}

TEST(Probe, interrupted) {
  Scratch scratch;
  scratch.write("rt.sh", "#!/bin/sh\n[ \"$1\" = --version ] && exit 0\nexec sleep 1000\n", 0755);
  int asked = 0;
  Wait wait{kForever, [&] {
              if (++asked > 3) throw std::runtime_error("stop");
            }};
  EXPECT_THROW(probe_runtime(scratch.path() + "/rt.sh", kPayload, scratch.dir(), wait),
               std::runtime_error);
  EXPECT_THAT(list_dir(scratch.dir()), testing::ElementsAre("rt.sh"));
}

}  // namespace
}  // namespace ctrd::oci
