// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/stat.h>

#include <filesystem>

#include "engine/fixture.h"
#include "engine/probe_cache.h"

namespace ctrd::engine {
namespace {

class DoctorTest : public EngineTest {
 protected:
  const Check* find(const std::vector<Check>& checks, const std::string& name) {
    for (const auto& check : checks)
      if (check.name == name) return &check;
    ADD_FAILURE() << "no check " << name;
    return nullptr;
  }
};

TEST_F(DoctorTest, ThisMachineIsFit) {
  auto checks = engine().doctor(soon());
  for (const auto& check : checks)
    EXPECT_TRUE(check.ok || !check.needed)
        << check.name << ": " << check.found << ": " << check.hint;
  EXPECT_TRUE(find(checks, "overlay")->ok);
  EXPECT_TRUE(find(checks, "runc")->ok) << find(checks, "runc")->found;
  EXPECT_TRUE(find(checks, "default runtime")->found.starts_with('/'));
  EXPECT_TRUE(std::filesystem::exists(state_ + "/.probe"));
  EXPECT_EQ(engine().doctor(soon()).size(), checks.size());
}

TEST_F(DoctorTest, WithoutAnEngineItSaysWhyThereIsNone) {
  std::filesystem::create_directory(root_);
  ::chmod(root_.c_str(), 0777);
  auto checks = doctor(config(), soon());
  const Check* root = find(checks, "root");
  EXPECT_FALSE(root->ok);
  EXPECT_NE(root->found.find(root_), std::string::npos);
  ::chmod(root_.c_str(), 0700);
  EXPECT_TRUE(find(doctor(config(), soon()), "root")->ok);
}

TEST_F(DoctorTest, AMissingShimIsSaid) {
  Config other = config();
  other.shim = top_ + "/no-shim";
  auto checks = doctor(other, soon());
  EXPECT_FALSE(find(checks, "shim")->ok);
  EXPECT_FALSE(find(checks, "overlay")->ok);
}

TEST_F(DoctorTest, ProbesAreAskedOncePerFingerprint) {
  std::filesystem::create_directory(state_);
  UniqueFd dir(::open(state_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  int asked = 0;
  auto probe = [&] { return ++asked, oci::Probe{true, "/bin/x", "x 1", ""}; };
  ProbeCache one;
  EXPECT_EQ(one.get(dir.get(), "x", "a", probe, soon()).version, "x 1");
  EXPECT_EQ(one.get(dir.get(), "x", "a", probe, soon()).version, "x 1");
  EXPECT_EQ(asked, 1);
  ProbeCache two;  // another process: from the file
  EXPECT_EQ(two.get(dir.get(), "x", "a", probe, soon()).binary, "/bin/x");
  EXPECT_EQ(asked, 1);
  two.get(dir.get(), "x", "b", probe, soon());
  EXPECT_EQ(asked, 2);
  auto no = [&] { return ++asked, oci::Probe{false, "/bin/x", "", "not today"}; };
  EXPECT_FALSE(two.get(dir.get(), "x", "c", no, soon()).ok);
  EXPECT_EQ(two.get(dir.get(), "x", "c", probe, soon()).reason,
            "not today");  // believed, for a while
  EXPECT_TRUE(two.get(dir.get(), "x", "c", probe, soon(), true).ok);
  EXPECT_EQ(asked, 4);
  std::string before = fingerprint({shim_binary()});
  EXPECT_EQ(before, fingerprint({shim_binary()}));
  EXPECT_NE(before, fingerprint({"/bin/sh"}));
}

}  // namespace
}  // namespace ctrd::engine
