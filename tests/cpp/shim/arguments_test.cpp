// SPDX-License-Identifier: Apache-2.0
#include "shim/arguments.h"

#include <filesystem>

#include "base/spawn.h"
#include "shim/harness.h"
#include "shim/overlay_probe.h"

namespace ctrd::shim {
namespace {

Output run_shim(std::vector<std::string> args) {
  SpawnSpec spec;
  spec.argv = {shim_binary()};
  spec.argv.insert(spec.argv.end(), args.begin(), args.end());
  spec.env = {"PATH=/usr/bin:/bin"};
  return run_command(spec, "", soon());
}

TEST(Arguments, GoStyle) {
  Arguments a = parse_arguments(
      {"-namespace", "ns", "--id=x", "-bundle=/b", "-debug", "-unknown", "v", "serve"});
  EXPECT_EQ(a.get("namespace"), "ns");
  EXPECT_EQ(a.get("id"), "x");
  EXPECT_EQ(a.get("bundle"), "/b");
  EXPECT_EQ(a.action, "serve");
  EXPECT_EQ(a.get("absent"), "");
  EXPECT_TRUE(parse_arguments({"-v"}).has("v"));
  EXPECT_EQ(parse_arguments({"-id"}).action, "");
  EXPECT_EQ(parse_arguments({}).action, "");
}

TEST(Arguments, Version) {
  Output out = run_shim({"-v"});
  EXPECT_EQ(out.exit.status, 0);
  EXPECT_TRUE(out.out.starts_with("containerd-shim-ctrd-v2 ")) << out.out;
}

TEST(Arguments, UnknownActionSaysSo) {
  Output out = run_shim({"-namespace", "x", "dance"});
  EXPECT_EQ(out.exit.status, 1);
  EXPECT_NE(out.err.find("dance"), std::string::npos);
}

TEST(Arguments, ServeWithoutItsDescriptorsSaysSo) {
  Output out = run_shim({"-namespace", "x", "-id", "c", "-bundle", "/tmp", "serve"});
  EXPECT_EQ(out.exit.status, 1);
  EXPECT_NE(out.err.find("descriptor 3"), std::string::npos) << out.err;
  out = run_shim({"-namespace", "x", "-id", "../c", "-bundle", "/tmp", "serve"});
  EXPECT_NE(out.err.find("../c"), std::string::npos) << out.err;
}

TEST(OverlayProbe, OkOrReasonAndNothingLeft) {
  std::string dir = ::testing::TempDir() + "/ctrd-probe-" + std::to_string(::getpid());
  std::filesystem::create_directory(dir);
  Output out = run_shim({"-dir", dir, "probe-overlay"});
  EXPECT_EQ(out.out, "ok\n") << out.err;
  EXPECT_EQ(out.exit.status, 0);
  EXPECT_TRUE(std::filesystem::is_empty(dir));
  std::filesystem::remove(dir);
  out = run_shim({"-dir", dir, "probe-overlay"});
  EXPECT_EQ(out.exit.status, 1);
  EXPECT_NE(out.out.find(dir), std::string::npos) << out.out;
}

}  // namespace
}  // namespace ctrd::shim
