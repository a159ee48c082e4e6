// SPDX-License-Identifier: Apache-2.0
// What a container's shim is told: kept as it was given, and refused where it is the engine's.
#include "engine/runtime_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/temp_dir.h"
#include "engine/other_shim.h"

namespace ctrd::engine {
namespace {

constexpr const char* kRuncShim = "io.containerd.runc.v2";

TEST(RuntimeOptions, RuncsComeBack) {
  RuncOptions options{.no_pivot_root = true, .io_uid = 7, .binary_name = "crun"};
  auto again = runc_options(pack(options));
  ASSERT_TRUE(again);
  EXPECT_EQ(api::encode(*again), api::encode(options));
  EXPECT_TRUE(
      runc_options({"type.googleapis.com/containerd.runc.v1.Options", api::encode(options)}));
  EXPECT_FALSE(runc_options({}));
  EXPECT_FALSE(runc_options({"runtimeoptions.v1.Options", ""}));
  EXPECT_EQ(named_binary(pack(options)), "crun");
  EXPECT_EQ(named_binary({"x.y", "z"}), "");
  EXPECT_EQ(error_of([] {
              runc_options({"containerd.runc.v1.Options", "\x0a\x7f"});
            }).find("field"),
            "runtime_options");
}

TEST(RuntimeOptions, WhoTakesWhat) {
  api::Any foreign{"runtimeoptions.v1.Options", "\x12\x02/x"};
  for (std::string_view runtime : {kOurShim, std::string_view(kRuncShim)}) {
    check_runtime_options(std::string(runtime), {});
    check_runtime_options(std::string(runtime), pack({.no_new_keyring = true}));
    EXPECT_EQ(code_of([&] { check_runtime_options(std::string(runtime), foreign); }),
              Code::kInvalidArgument);
  }
  check_runtime_options("io.containerd.kata.v2", foreign);
  EXPECT_EQ(code_of([] {
              check_runtime_options("io.containerd.kata.v2", {"", "x"});
            }),
            Code::kInvalidArgument);
  Error large = error_of([] {
    check_runtime_options("io.containerd.kata.v2", {"x.y", std::string((16 << 10) + 1, 'x')});
  });
  EXPECT_EQ(large.code(), Code::kResourceExhausted);
  EXPECT_EQ(large.find("field"), "runtime_options");
}

TEST(RuntimeOptions, WhatIsTheEngines) {
  for (const RuncOptions& options :
       {RuncOptions{.root = "/run/x"}, RuncOptions{.systemd_cgroup = true},
        RuncOptions{.shim_cgroup = "/x"}, RuncOptions{.criu_path = "/x"},
        RuncOptions{.criu_image_path = "/x"}, RuncOptions{.criu_work_path = "/x"}})
    for (std::string_view runtime : {kOurShim, std::string_view(kRuncShim)})
      EXPECT_EQ(error_of([&] {
                  check_runtime_options(std::string(runtime), pack(options));
                }).find("field"),
                "runtime_options");
}

TEST(RuntimeOptions, OfAnotherShim) {
  metadata::Container record;
  record.runtime_name = kRuncShim;
  record.runtime_binary = "/usr/bin/crun";
  record.runtime_options = pack({.no_pivot_root = true, .binary_name = "crun"});
  auto told = runc_options(other_options(record, "/run/b"));
  ASSERT_TRUE(told);
  EXPECT_TRUE(told->no_pivot_root);
  EXPECT_EQ(told->binary_name, "/usr/bin/crun");
  EXPECT_TRUE(told->root.starts_with("/run/b/"));
  record.runtime_name = "io.containerd.kata.v2";
  EXPECT_EQ(other_options(record, "/run/b"), record.runtime_options);
  record.runtime_options = {};
  EXPECT_EQ(other_options(record, "/run/b"), api::Any());
}

}  // namespace
}  // namespace ctrd::engine
