// SPDX-License-Identifier: Apache-2.0
// The two directories: modes, owners, names, the token that binds them.
#include "engine/root.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "base/files.h"
#include "engine/fixture.h"

namespace ctrd::engine {
namespace {

class RootTest : public EngineTest {
 protected:
  mode_t mode_of(const std::string& path) {
    struct stat facts {};
    EXPECT_EQ(::stat(path.c_str(), &facts), 0) << path;
    return facts.st_mode & 07777;
  }
};

TEST_F(RootTest, ModesAreTight) {
  Root root = open_root(config());
  EXPECT_EQ(mode_of(root_), 0700u);
  EXPECT_EQ(mode_of(root_ + "/snapshots"), 0700u);
  EXPECT_EQ(mode_of(state_), 0711u);
  EXPECT_EQ(mode_of(state_ + "/.id"), 0600u);
  EXPECT_EQ(root.hash6.size(), 6u);
}

TEST_F(RootTest, OthersWritingIsRefusedOthersReadingTightened) {
  std::filesystem::create_directory(root_);
  ::chmod(root_.c_str(), 0777);
  Error error(Code::kOk, "");
  EXPECT_EQ(code_of([&] { Engine::open(config()); }, &error), Code::kPermissionDenied);
  EXPECT_NE(error.message().find(root_), std::string::npos);
  ::chmod(root_.c_str(), 0755);
  Engine::open(config());
  EXPECT_EQ(mode_of(root_), 0700u);
}

TEST_F(RootTest, AnotherUsersIsRefused) {
  std::filesystem::create_directory(root_);
  ASSERT_EQ(::chown(root_.c_str(), 1000, 1000), 0);
  EXPECT_EQ(code_of([&] { Engine::open(config()); }), Code::kPermissionDenied);
  ASSERT_EQ(::chown(root_.c_str(), 0, 0), 0);
  std::filesystem::create_directory(state_);
  ::chmod(state_.c_str(), 0777);
  EXPECT_EQ(code_of([&] { Engine::open(config()); }), Code::kPermissionDenied);
  ::chmod(state_.c_str(), 0755);
  EXPECT_EQ(code_of([&] { Engine::open(config()); }), Code::kOk);
}

TEST_F(RootTest, AFileInTheWayIsNamed) {
  create_file_at(open_dir(top_).get(), "root", "", 0600);
  EXPECT_NE(code_of([&] { Engine::open(config()); }), Code::kOk);
  ASSERT_EQ(::unlink(root_.c_str()), 0);
}

TEST_F(RootTest, LongPathsWork) {
  std::string dir = top_ + "/" + std::string(100, 'r') + "/" + std::string(100, 's');
  root_ = dir + "/root";
  state_ = dir + "/state";
  RunResult result = run(shell("echo hi"));
  EXPECT_EQ(result.out, "hi\n");
}

TEST_F(RootTest, OneTokenForOneState) {
  EXPECT_EQ(open_root(config()).token.token, open_root(config()).token.token);
}

TEST_F(RootTest, AnotherStateForTheSameRootIsRefused) {
  create({"/bin/true"});
  Config other = config();
  other.state = top_ + "/other";
  auto second = Engine::open(other);
  Error error(Code::kOk, "");
  EXPECT_EQ(code_of([&] { second->list(kNs, {}, soon()); }, &error), Code::kFailedPrecondition);
  EXPECT_NE(error.message().find(state_), std::string::npos) << error.message();
  EXPECT_NE(error.message().find(other.state), std::string::npos) << error.message();
}

TEST_F(RootTest, TheDefaultStateFollowsTheRoot) {
  std::string path = default_state(open_dir(top_).get());
  EXPECT_EQ(path.size(), std::string("/run/ctrd/").size() + 12);
  EXPECT_EQ(path, default_state(open_dir(top_).get()));
  EXPECT_NE(path, default_state(open_dir("/tmp").get()));
}

}  // namespace
}  // namespace ctrd::engine
