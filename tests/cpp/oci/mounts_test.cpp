// SPDX-License-Identifier: Apache-2.0
#include "oci/mounts.h"

#include <gtest/gtest.h>

#include "oci/scratch.h"

namespace ctrd::oci {
namespace {

Json last_mount(MountOption mount) {
  SpecOptions options;
  options.mounts = {std::move(mount)};
  return mounts_json(options).back();
}
Error refused(MountOption mount) {
  return error_of([&] { last_mount(mount); });
}

TEST(Mounts, callers) {
  MountOption bind{.type = "bind", .source = "/tmp", .destination = "/x"};
  EXPECT_EQ(
      last_mount(bind).dump(),
      R"({"destination":"/x","options":["rbind","rprivate","rw"],"source":"/tmp","type":"bind"})");
  bind.read_only = true;
  EXPECT_EQ(last_mount(bind)["options"][2], "ro");
  Json tmpfs = last_mount({.type = "tmpfs", .destination = "/x", .size_bytes = 4096});
  EXPECT_EQ(tmpfs["options"].dump(), R"(["nosuid","nodev","mode=1777","size=4096"])");
}

TEST(Mounts, bad_ones) {
  for (const char* destination : {"", "x", "./x", "/", "//", "/x/..", "/proc", "/proc/", "//proc",
                                  "/a/../proc/sys", "/./proc"}) {
    Error error = refused({.type = "tmpfs", .destination = destination});
    EXPECT_EQ(error.code(), Code::kInvalidArgument) << destination;
    EXPECT_EQ(error.find("field"), "mounts") << destination;
  }
  EXPECT_EQ(refused({.type = "tmpfs", .destination = std::string("/a\0b", 4)}).code(),
            Code::kInvalidArgument);
  EXPECT_EQ(refused({.type = "nfs", .destination = "/x"}).find("value"), "nfs");
  EXPECT_EQ(refused({.type = "tmpfs", .destination = "/x", .size_bytes = 0}).code(),
            Code::kInvalidArgument);
  EXPECT_EQ(refused({.type = "bind", .source = "tmp", .destination = "/x"}).find("value"), "tmp");
  EXPECT_NO_THROW(last_mount({.type = "tmpfs", .destination = "/procession"}));
}

TEST(Mounts, missing_source) {
  Error error = refused({.type = "bind", .source = "/nope/no", .destination = "/x"});
  EXPECT_EQ(error.code(), Code::kNotFound);
  EXPECT_EQ(error.kind(), Kind::kPath);
  EXPECT_EQ(error.find("path"), "/nope/no");
}

TEST(Mounts, normal_path) {
  EXPECT_EQ(normal_path("/a//b/./c/../d/"), "/a/b/d");
  EXPECT_EQ(normal_path("//proc"), "/proc");
  EXPECT_EQ(normal_path("/.."), "/");
}

}  // namespace
}  // namespace ctrd::oci
