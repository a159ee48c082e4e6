// SPDX-License-Identifier: Apache-2.0
// Checkpoint and restore under the real shim, with the CRIU of build/criu: runc, and the crun
// there.
#include "api/checkpoint.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <utility>

#include "api/event.h"
#include "base/cgroup.h"
#include "base/files.h"
#include "base/process.h"
#include "shim/harness.h"
#include "ttrpc/client.h"

namespace ctrd::shim {
namespace {

// scripts/criu makes it; the runtimes' PATH begins there.
std::string criu_bin() {
  std::filesystem::path build = std::filesystem::path(shim_binary());
  while (!std::filesystem::exists(build / "criu/bin") && build.has_relative_path())
    build = build.parent_path();
  return build / "criu/bin";
}

class Checkpoint : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    ASSERT_TRUE(std::filesystem::exists(criu_bin() + "/criu")) << "run scripts/criu";
    ::setenv("CTRD_TEST_PATH", criu_bin().c_str(), 1);
  }
  void TearDown() override { ::unsetenv("CTRD_TEST_PATH"); }
  std::string runtime() const {
    return GetParam() == std::string("crun") ? criu_bin() + "/crun" : find_program("runc").value();
  }
};
INSTANTIATE_TEST_SUITE_P(Real, Checkpoint, ::testing::Values("crun", "runc"),
                         [](const auto& row) { return std::string(row.param); });

const std::vector<std::string> kCounter = {
    "/bin/sh", "-c", "i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done"};

struct Images {
  std::string path;
  explicit Images(const char* name) : path(std::filesystem::temp_directory_path() / name) {
    std::filesystem::remove_all(path);
  }
  ~Images() { std::filesystem::remove_all(path); }
};

void checkpoint(Harness& h, const std::string& path, const api::CheckpointOptions& options = {}) {
  h.call<api::Empty>(
      "Checkpoint",
      api::CheckpointTaskRequest{
          h.id, path, {std::string(api::kCheckpointOptionsType), api::encode(options)}});
}

// Numbers from the stream, line by line, until `count` have come.
std::vector<int> numbers(int fd, std::size_t count) {
  std::vector<int> found;
  std::string text;
  while (found.size() < count) {
    char piece[256];
    ssize_t n = ::read(fd, piece, sizeof(piece));
    if (n == 0) break;
    if (n < 0) {
      if (!eventually([&] { return true; })) break;
      ::usleep(1000);
      continue;
    }
    text.append(piece, static_cast<std::size_t>(n));
    for (auto end = text.find('\n'); end != text.npos; end = text.find('\n')) {
      found.push_back(std::stoi(text.substr(0, end)));
      text.erase(0, end + 1);
    }
  }
  return found;
}

// It goes on from where it was: no number is told twice, and none is left out.
void expect_goes_on(const std::vector<int>& before, const std::vector<int>& after) {
  ASSERT_FALSE(before.empty());
  ASSERT_FALSE(after.empty());
  EXPECT_GT(after.front(), before.back());
  for (std::size_t i = 1; i < after.size(); ++i) EXPECT_EQ(after[i], after[i - 1] + 1);
}

TEST_P(Checkpoint, EndsItAndAnotherOneGoesOn) {
  Images images("ctrd-checkpoint-test-1");
  std::vector<int> before;
  {
    Harness h(runtime());
    h.configure(kCounter);
    h.spawn();
    UniqueFd out = h.fifo("stdout");
    h.create();
    h.start();
    before = numbers(out.get(), 5);
    checkpoint(h, images.path, {.exit = true});
    EXPECT_EQ(h.wait().exit_status, 137U);
    EXPECT_EQ(h.state().status, api::Status::kStopped);
    h.remove_and_leave();
    EXPECT_FALSE(exists_at(h.bundle_dir.get(), api::kCriuDir));
  }
  Harness h(runtime());
  h.configure(kCounter, {{"hostname", "new"}});
  h.spawn();
  UniqueFd out = h.fifo("stdout");
  api::CreateRequest request = h.create_request();
  request.checkpoint = images.path;
  api::CriuOptions more{.close_tcp = false, .hostname = "new"};
  request.options.value += api::encode(more);
  EXPECT_EQ(h.call<api::CreateResponse>("Create", request).pid, 0U);
  EXPECT_EQ(h.state().status, api::Status::kCreated);
  uint32_t pid = h.start();
  EXPECT_GT(pid, 0U);
  EXPECT_EQ(h.state().status, api::Status::kRunning);
  EXPECT_FALSE(cgroup_pids(h.cgroup).empty());
  std::vector<int> after = numbers(out.get(), 10);
  expect_goes_on(before, after);
  h.kill(SIGKILL);
  EXPECT_EQ(h.wait().exit_status, 137U);
  h.remove_and_leave();
}

TEST_P(Checkpoint, LeavesItAsItWas) {
  Images images("ctrd-checkpoint-test-2");
  Harness h(runtime());
  h.configure(kCounter);
  h.spawn();
  UniqueFd out = h.fifo("stdout");
  h.create();
  EXPECT_EQ(error_of([&] { checkpoint(h, images.path); }).code(), Code::kFailedPrecondition);
  h.start();
  std::vector<int> before = numbers(out.get(), 5);
  checkpoint(h, images.path);
  EXPECT_EQ(h.state().status, api::Status::kRunning);
  EXPECT_FALSE(cgroup_frozen(h.cgroup));
  std::vector<int> after = numbers(out.get(), 20);
  EXPECT_EQ(after.front(), before.back() + 1);
  std::filesystem::remove_all(images.path);
  h.call<api::Empty>("Pause", api::PauseRequest{h.id});
  checkpoint(h, images.path);
  EXPECT_EQ(h.state().status, api::Status::kPaused);
  EXPECT_TRUE(cgroup_frozen(h.cgroup));
  h.call<api::Empty>("Resume", api::ResumeRequest{h.id});
  expect_goes_on(after, numbers(out.get(), 20));
  h.end();
}

// CRIU refuses: the task is none the worse, and what CRIU said is kept.
TEST_P(Checkpoint, FailureLeavesItRunning) {
  Images images("ctrd-checkpoint-test-3"), script("ctrd-checkpoint-test-runtime");
  {
    std::ofstream out(script.path);
    out << "#!/bin/sh\ncase \" $* \" in *' checkpoint '*) for a; do [ \"$p\" = --work-path ] && "
           "echo '(0) Error (x.c:1): inet: Connected TCP socket, consider using --tcp-established' "
           "> $a/dump.log; p=$a; done; exit 1;; esac\nexec "
        << runtime() << " \"$@\"\n";
  }
  std::filesystem::permissions(script.path, std::filesystem::perms::owner_all);
  Harness h(script.path);
  h.run_sleeper();
  Error error = error_of([&] { checkpoint(h, images.path); });
  EXPECT_EQ(error.code(), Code::kFailedPrecondition) << error.message();
  EXPECT_EQ(error.kind(), Kind::kCheckpoint);
  EXPECT_NE(error.find("hint").find("tcp="), std::string_view::npos) << error.message();
  EXPECT_EQ(error.find("log_path"), h.bundle + "/" + api::kCriuLogFile);
  EXPECT_NE(read_file_at(h.bundle_dir.get(), api::kCriuLogFile, 1 << 24).find("Error ("),
            std::string::npos);
  EXPECT_EQ(h.state().status, api::Status::kRunning);
  EXPECT_FALSE(cgroup_frozen(h.cgroup));
  h.end();
}

// Nothing is frozen before all is written that CRIU is told, and a client's folder gets none of it.
TEST_P(Checkpoint, WhatCannotBeToldFreezesNothing) {
  Images images("ctrd-checkpoint-test-untold"), work("ctrd-checkpoint-test-work");
  Harness h(runtime());
  h.run_sleeper();
  const std::string config = h.bundle + "/criu.conf";
  std::filesystem::create_directories(config + "/full");
  EXPECT_NE(error_of([&] { checkpoint(h, images.path, {.work_path = work.path}); }).code(),
            Code::kOk);
  EXPECT_FALSE(cgroup_frozen(h.cgroup));
  EXPECT_EQ(h.state().status, api::Status::kRunning);
  std::filesystem::remove_all(config);
  checkpoint(h, images.path, {.work_path = work.path});
  EXPECT_TRUE(std::filesystem::exists(work.path + "/dump.log"));
  EXPECT_FALSE(std::filesystem::exists(work.path + "/criu.conf"));
  EXPECT_FALSE(std::filesystem::exists(config));
  h.end();
}

TEST_P(Checkpoint, WithoutCriuItIsTheHost) {
  ::unsetenv("CTRD_TEST_PATH");
  if (GetParam() == std::string("crun")) return;  // its wrapper finds CRIU by itself
  Images images("ctrd-checkpoint-test-4");
  Harness h(runtime());
  h.run_sleeper();
  Error error = error_of([&] { checkpoint(h, images.path); });
  EXPECT_EQ(error.code(), Code::kUnimplemented) << error.message();
  EXPECT_EQ(error.find("hint"), "install criu");
  EXPECT_FALSE(cgroup_frozen(h.cgroup));
  h.end();
}

TEST_P(Checkpoint, ARestoreThatFailsMayBeTriedAgain) {
  Images images("ctrd-checkpoint-test-5");
  Harness h(runtime());
  h.configure(kCounter);
  h.spawn();
  api::CreateRequest request = h.create_request();
  request.checkpoint = images.path;
  EXPECT_EQ(error_of([&] { h.call<api::CreateResponse>("Create", request); }).code(),
            Code::kNotFound);
  std::filesystem::create_directory(images.path);
  h.call<api::CreateResponse>("Create", request);
  for (int i = 0; i < 2; ++i) {
    Error error = error_of([&] { h.start(); });
    EXPECT_NE(error.code(), Code::kOk) << error.message();
    EXPECT_EQ(h.state().status, api::Status::kCreated);
    h.expect_no_cgroup();
  }
  h.kill(SIGTERM);
  EXPECT_EQ(h.wait().exit_status, 143U);
  h.remove_and_leave();
}

// A caller of its own: whatever it holds goes with its connection.
struct Holder {
  explicit Holder(const Harness& h) : id(h.id) {
    socket = ttrpc::connect_at(h.bundle_dir.get(), api::kSocketFile, soon());
  }
  ttrpc::Call begin(std::string_view service, const char* method, std::string payload) {
    ttrpc::Request request{std::string(service), method, std::move(payload), 0, {}};
    return ttrpc::Call(std::move(socket), request, soon(), std::exchange(stream, stream + 2));
  }
  void call(std::string_view service, const char* method, std::string payload) {
    ttrpc::Call made = begin(service, method, std::move(payload));
    try {
      made.finish(soon());
    } catch (...) {
      socket = made.take_socket();
      throw;
    }
    socket = made.take_socket();
  }
  void hold() { call(api::kShimV1, "Hold", api::encode(api::HoldRequest{id})); }
  void checkpoint(const std::string& path) {
    call(api::kTaskV2, "Checkpoint",
         api::encode(
             api::CheckpointTaskRequest{id, path, {std::string(api::kCheckpointOptionsType), ""}}));
  }
  std::string id;
  UniqueFd socket;
  uint32_t stream = 1;
};

TEST_P(Checkpoint, AHoldEndsWithItsCaller) {
  Images images("ctrd-checkpoint-test-6");
  Harness h(runtime());
  h.run_sleeper();
  Holder one(h);
  one.hold();
  EXPECT_TRUE(cgroup_frozen(h.cgroup));
  one.checkpoint(images.path);
  EXPECT_TRUE(cgroup_frozen(h.cgroup));
  one.socket.reset();
  EXPECT_TRUE(eventually([&] { return !cgroup_frozen(h.cgroup); }));
  EXPECT_TRUE(eventually([&] { return h.state().status == api::Status::kRunning; }));
  h.end();
}

TEST_P(Checkpoint, AHoldIsOfOneCaller) {
  Images images("ctrd-checkpoint-test-7");
  Harness h(runtime());
  h.run_sleeper();
  Holder one(h), another(h), third(h);
  one.hold();
  EXPECT_EQ(error_of([&] { another.hold(); }).code(), Code::kFailedPrecondition);
  EXPECT_EQ(error_of([&] { another.checkpoint(images.path); }).code(), Code::kFailedPrecondition);
  EXPECT_EQ(error_of([&] { one.hold(); }).code(), Code::kFailedPrecondition);
  EXPECT_FALSE(std::filesystem::exists(images.path));
  another.socket.reset();
  h.state();  // it has seen that
  EXPECT_EQ(error_of([&] { third.hold(); }).code(), Code::kFailedPrecondition);
  EXPECT_TRUE(cgroup_frozen(h.cgroup));
  EXPECT_EQ(h.state().status, api::Status::kPausing);
  one.socket.reset();
  EXPECT_TRUE(eventually([&] { return h.state().status == api::Status::kRunning; }));
  third.hold();
  EXPECT_TRUE(cgroup_frozen(h.cgroup));
  h.kill(SIGKILL);
  EXPECT_EQ(h.wait().exit_status, 137U);
  h.remove_and_leave();
}

// Nobody is refused for the sake of one who was killed.
TEST_P(Checkpoint, ADumpWhoseCallerHasGoneIsWaitedFor) {
  Images images("ctrd-checkpoint-test-10");
  Harness h(runtime());
  h.run_sleeper();
  Holder one(h);
  one.hold();
  ttrpc::Call dumping =
      one.begin(api::kTaskV2, "Checkpoint",
                api::encode(api::CheckpointTaskRequest{
                    h.id, images.path, {std::string(api::kCheckpointOptionsType), ""}}));
  ASSERT_TRUE(eventually([&] { return std::filesystem::exists(images.path); }));
  dumping.take_socket().reset();
  h.state();  // it has seen that
  Holder next(h);
  next.hold();
  EXPECT_TRUE(cgroup_frozen(h.cgroup));
  EXPECT_EQ(h.state().status, api::Status::kPausing);
  next.socket.reset();
  EXPECT_TRUE(eventually([&] { return h.state().status == api::Status::kRunning; }));
  EXPECT_FALSE(cgroup_frozen(h.cgroup));
  h.end();
}

// What freezes or thaws waits for the end of a hold; a task that was paused stays so after it.
TEST_P(Checkpoint, APausedTaskIsHeldToo) {
  Harness h(runtime());
  h.run_sleeper();
  h.call<api::Empty>("Pause", api::PauseRequest{h.id});
  Holder one(h), other(h);
  one.hold();
  ttrpc::Call resumed = other.begin(api::kTaskV2, "Resume", api::encode(api::ResumeRequest{h.id}));
  Wait moment = soon().within(std::chrono::milliseconds(200));
  EXPECT_EQ(error_of([&] { resumed.finish(moment); }).code(), Code::kDeadlineExceeded);
  EXPECT_TRUE(cgroup_frozen(h.cgroup));
  EXPECT_EQ(h.state().status, api::Status::kPaused);
  one.socket.reset();
  resumed.finish(soon());
  EXPECT_EQ(h.state().status, api::Status::kRunning);
  EXPECT_FALSE(cgroup_frozen(h.cgroup));
  Holder again(h);
  again.hold();
  Holder pausing(h);
  ttrpc::Call paused = pausing.begin(api::kTaskV2, "Pause", api::encode(api::PauseRequest{h.id}));
  h.state();
  again.socket.reset();
  paused.finish(soon());
  EXPECT_EQ(h.state().status, api::Status::kPaused);
  EXPECT_TRUE(cgroup_frozen(h.cgroup));
  Holder last(h);
  last.hold();
  last.socket.reset();
  h.state();
  EXPECT_EQ(h.state().status, api::Status::kPaused);
  EXPECT_TRUE(cgroup_frozen(h.cgroup));
  h.call<api::Empty>("Resume", api::ResumeRequest{h.id});
  h.end();
}

// A runtime that says that it restores, and waits to be let: then it does so, or fails.
class SlowRestore {
 public:
  SlowRestore(const std::string& runtime, bool fails) : files_("ctrd-checkpoint-test-slow") {
    std::filesystem::create_directory(files_.path);
    std::ofstream(path()) << "#!/bin/sh\ncase \" $* \" in *' restore '*) touch " << at("begun")
                          << "; while [ ! -e " << at("go") << " ]; do sleep 0.01; done; "
                          << (fails ? "exit 1" : "") << ";; esac\nexec " << runtime << " \"$@\"\n";
    std::filesystem::permissions(path(), std::filesystem::perms::owner_all);
  }
  std::string path() const { return at("runtime"); }
  bool has_begun() const { return std::filesystem::exists(at("begun")); }
  void go() const { std::ofstream(at("go")) << "\n"; }

 private:
  std::string at(const char* name) const { return files_.path + "/" + name; }
  Images files_;
};

// Killed while Start restores it, it is never left running, whatever comes of the restore.
TEST_P(Checkpoint, KilledWhileItIsRestored) {
  Images images("ctrd-checkpoint-test-8");
  {
    Harness h(runtime());
    h.run_sleeper();
    checkpoint(h, images.path, {.exit = true});
    h.wait();
    h.remove_and_leave();
  }
  for (bool fails : {false, true}) {
    SlowRestore slow(runtime(), fails);
    Harness h(slow.path());
    h.configure({"/bin/sleep", "1000"});
    h.spawn();
    api::CreateRequest request = h.create_request();
    request.checkpoint = images.path;
    h.call<api::CreateResponse>("Create", request);
    Holder starter(h);
    ttrpc::Call start =
        starter.begin(api::kTaskV2, "Start", api::encode(api::StartRequest{h.id, ""}));
    ASSERT_TRUE(eventually([&] { return slow.has_begun(); }));
    h.kill(0);
    EXPECT_EQ(error_of([&] { h.kill(SIGTERM); }).code(), Code::kFailedPrecondition);
    h.kill(SIGKILL, fails);
    slow.go();
    EXPECT_EQ(error_of([&] { start.finish(soon()); }).code() != Code::kOk, fails);
    EXPECT_EQ(h.wait().exit_status, 137U);
    h.remove_and_leave();
  }
}

// A hold that waits for its turn, and its caller goes just then.
TEST_P(Checkpoint, AHoldWhoseCallerHasGoneIsNone) {
  Harness h(runtime());
  h.run_sleeper();
  for (int round = 0; round < 200; ++round) {
    Holder one(h), other(h);
    ttrpc::Call pausing = one.begin(api::kTaskV2, "Pause", api::encode(api::PauseRequest{h.id}));
    ttrpc::Call holding = other.begin(api::kShimV1, "Hold", api::encode(api::HoldRequest{h.id}));
    pausing.finish(soon());
    holding.take_socket().reset();
    h.call<api::Empty>("Resume", api::ResumeRequest{h.id});
    ASSERT_TRUE(eventually([&] { return h.state().status == api::Status::kRunning; })) << round;
    ASSERT_FALSE(cgroup_frozen(h.cgroup)) << round;
  }
  h.end();
}

}  // namespace
}  // namespace ctrd::shim
