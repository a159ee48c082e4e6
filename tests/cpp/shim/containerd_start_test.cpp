// SPDX-License-Identifier: Apache-2.0
// What a start leaves in the shim that it starts, and when that ends by itself. Source:
// shim-protocol.md 2.3, 2.11.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "api/bootstrap.h"
#include "base/cgroup.h"
#include "base/files.h"
#include "shim/containerd.h"

namespace ctrd::shim {
namespace {

using ::testing::HasSubstr;

struct ContainerdStart : ::testing::Test {
  Containerd c{find_program("crun").value()};

  void finish() {
    c.shutdown();
    EXPECT_EQ(c.h.exit_status(), 0);
    EXPECT_FALSE(std::filesystem::exists(c.socket));
  }
};

// containerd leaks its own into each start.
TEST_F(ContainerdStart, DescriptorsThatAreInheritedAreClosed) {
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe2(pipe.data(), O_CLOEXEC), 0);
  UniqueFd reader(pipe[0]), writer(pipe[1]);
  c.fds = {{writer.get(), 3}, {writer.get(), 4}, {writer.get(), 5}, {writer.get(), 77}};
  c.start();
  writer.reset();
  EXPECT_EQ(read_to_end(reader.get()), "");
  c.fds.clear();
  finish();
}

// Nothing tells it: its containerd died between its start and its Create.
TEST_F(ContainerdStart, AShimThatNobodyTalksToEnds) {
  c.flags = {"-idle-ms", "300"};
  c.start();
  EXPECT_EQ(c.h.exit_status(), 0);
  EXPECT_FALSE(std::filesystem::exists(c.socket));
  EXPECT_EQ(c.clean_up().pid, 0U);
}

// As containerd's own: a session would be an autogroup, which made `ctr run` take twice as long on
// a busy machine.
TEST_F(ContainerdStart, AGroupOfItsOwnInTheSameSession) {
  c.start();
  EXPECT_EQ(::getpgid(c.h.shim.pid), c.h.shim.pid);
  EXPECT_EQ(::getsid(c.h.shim.pid), ::getsid(0));
  finish();
}

// Its Create never came, or has failed, and nobody will talk to it.
TEST_F(ContainerdStart, DeleteEndsAShimWithoutATask) {
  c.flags = {"-idle-ms", "1000000000"};
  c.start();
  EXPECT_EQ(c.clean_up().pid, 0U);
  EXPECT_EQ(c.h.exit_status(), 0);
  EXPECT_FALSE(std::filesystem::exists(c.socket));
}

TEST_F(ContainerdStart, AShimWithATaskWaitsForEverAndEndsWhenItIsDeleted) {
  c.flags = {"-idle-ms", "50"};
  c.h.configure({"/bin/sleep", "0.4"});
  c.start();
  c.create();
  c.h.start();
  EXPECT_TRUE(eventually([&] { return api::find_exit_file(c.h.bundle_dir.get()).has_value(); }));
  EXPECT_EQ(c.h.remove().exit_status, 0U);
  EXPECT_EQ(c.h.exit_status(), 0);
}

// A cgroup in the hierarchies that ask for nothing before they take a process.
class Cgroup {
 public:
  explicit Cgroup(std::string path) : path_(std::move(path)) {
    for (const std::string& mount : cgroup_mounts())
      if (mount.find("cpuset") == mount.npos) std::filesystem::create_directory(mount + path_);
  }
  ~Cgroup() {
    for (const std::string& dir : cgroup_dirs(path_)) ::rmdir(dir.c_str());
  }

 private:
  std::string path_;
};

TEST_F(ContainerdStart, ShimCgroup) {
  std::string path = "/test-shim-" + std::to_string(::getpid());
  std::optional<Cgroup> made(path);
  api::RuncOptions theirs;
  theirs.binary_name = c.h.runtime;
  theirs.shim_cgroup = path;
  c.options.value = api::encode(theirs);
  c.start(api::encode(c.options));
  EXPECT_EQ(cgroup_of(c.h.shim.pid), path);
  finish();
  made.reset();
  EXPECT_TRUE(cgroup_dirs(path).empty());
}

TEST_F(ContainerdStart, AShimCgroupThatIsNotThereIsNamed) {
  api::RuncOptions theirs;
  theirs.shim_cgroup = "/nothing/here";
  c.options.value = api::encode(theirs);
  Output out = c.execute("start", api::encode(c.options));
  EXPECT_EQ(out.exit.status, 1);
  EXPECT_THAT(out.err, HasSubstr("shim_cgroup"));
  EXPECT_THAT(out.err, HasSubstr("/nothing/here"));
  EXPECT_FALSE(std::filesystem::exists(c.h.bundle + "/address"));
}

// A kernel without core scheduling says so.
TEST_F(ContainerdStart, SchedCore) {
  c.env = {"SCHED_CORE=1"};
  Output out = c.start();
  if (out.exit.status == 0) return finish();
  EXPECT_EQ(out.out, "");
  EXPECT_THAT(out.err, HasSubstr("SCHED_CORE"));
  EXPECT_FALSE(std::filesystem::exists(c.h.bundle + "/address"));
}

// containerd has opened `log` before; where there is none, or nobody reads it, words are lost.
TEST_F(ContainerdStart, WithoutALogFifoAndWithOneThatIsFull) {
  c.h.configure({"/bin/true"});
  c.start();
  c.create();
  c.h.kill(SIGKILL);
  c.h.wait();
  c.h.remove();
  finish();
  Containerd full(c.h.runtime);
  ASSERT_EQ(::mkfifo((full.h.bundle + "/log").c_str(), 0700), 0);
  UniqueFd ours(::open((full.h.bundle + "/log").c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
  std::string much(1 << 20, 'x');
  EXPECT_GT(::write(ours.get(), much.data(), much.size()), 0);
  full.flags = {"-debug"};
  full.h.configure({"/bin/true"});
  full.start();
  full.create();
  ours.reset();  // and then there is no reader at all
  full.h.kill(SIGKILL);
  full.h.wait();
  full.h.remove();
  full.shutdown();
  EXPECT_EQ(full.h.exit_status(), 0);
}

TEST_F(ContainerdStart, InfoHasWhatTheRuntimeCanDo) {
  api::RuncOptions theirs;
  theirs.binary_name = find_program("runc").value();
  c.options.value = api::encode(theirs);
  auto info = api::decode<api::RuntimeInfo>(c.execute("-info", api::encode(c.options)).out);
  EXPECT_EQ(info.features.type_url, api::kFeaturesType);
  EXPECT_THAT(info.features.value, HasSubstr("\"ociVersionMin\""));
  theirs.binary_name = "/bin/false";
  c.options.value = api::encode(theirs);
  Output out = c.execute("-info", api::encode(c.options));
  EXPECT_EQ(out.exit.status, 0);
  EXPECT_EQ(api::decode<api::RuntimeInfo>(out.out).features.value, "");
}

}  // namespace
}  // namespace ctrd::shim
