// SPDX-License-Identifier: Apache-2.0
// Output to files and descriptors of a client ("file:"). reliability.md B7, A3.
#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "base/error.h"
#include "base/files.h"
#include "shim/harness.h"
#include "ttrpc/client.h"

namespace ctrd::shim {
namespace {

class FileOutput : public Runtimes {};
CTRD_EACH_RUNTIME(FileOutput);

std::vector<std::string> sh(const std::string& script) { return {"/bin/sh", "-c", script}; }

std::string contents(const std::string& path) {
  return read_file_at(open_dir(std::filesystem::path(path).parent_path()).get(),
                      std::filesystem::path(path).filename());
}

// Between Exec and Start a client may close its descriptors, or others may get their numbers.
TEST_P(FileOutput, IsOpenedByExec) {
  Harness h(runtime());
  h.run_sleeper();
  std::string path = h.dir + "/out";
  UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  Harness::Proc p = h.proc("e", sh("echo hello"));
  p.request.stdout_path =
      "file:/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(fd.get());
  h.add(p);
  fd.reset();
  h.start("e");
  h.wait("e");
  h.remove("e");
  EXPECT_EQ(contents(path), "hello\n");
  p = h.proc("e", {"/bin/true"});
  p.request.stderr_path = "file:/no/such/dir/err";
  EXPECT_EQ(error_of([&] { h.add(p); }).code(), Code::kNotFound);
  EXPECT_EQ(error_of([&] { h.state("e"); }).code(), Code::kNotFound);
  h.end();
}

// Deleted without a start, and with what is added last: nothing stays open.
TEST_P(FileOutput, IsClosedWithItsExec) {
  Harness h(runtime());
  h.run_sleeper();
  std::size_t before = resting_fds(h.shim.pid);
  for (bool terminal : {false, true}) {
    Harness::Proc p = h.proc("e", {"/bin/true"});
    p.request.stdout_path = "file:" + h.dir + "/out";
    p.request.stderr_path = p.request.stdout_path;
    p.request.terminal = terminal;
    replace_file_at(open_dir(h.dir).get(), "out", "", 0600, false);
    h.add(p);
    EXPECT_EQ(resting_fds(h.shim.pid), before + (terminal ? 1 : 2));
    h.remove("e");
  }
  EXPECT_EQ(resting_fds(h.shim.pid), before);
  h.end();
}

// All that a process has written itself is there when its end is told, whoever else writes on.
TEST_P(FileOutput, IsWholeAtWait) {
  Harness h(runtime());
  h.options.drain_ns = kLong.count();
  h.run_sleeper();
  std::string path = h.dir + "/out";
  for (int round = 0; round < 10; ++round) {
    replace_file_at(open_dir(h.dir).get(), "out", "", 0600, false);
    Harness::Proc p = h.proc("e", sh("sleep 1000 & head -c 200000 /dev/zero; kill -9 $! $$"));
    p.request.stdout_path = "file:" + path;
    h.add(p);
    h.start("e");
    EXPECT_EQ(h.wait("e").status, 137U);
    EXPECT_EQ(std::filesystem::file_size(path), 200000U);
    h.remove("e");
  }
  h.end();
}

// It has ended, but somebody is slow to take what it wrote.
TEST_P(FileOutput, IsWaitedFor) {
  Harness h(runtime());
  h.options.drain_ns = kLong.count();
  h.run_sleeper();
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  UniqueFd reader(ends[0]), writer(ends[1]);
  Harness::Proc p = h.proc("e", sh("yes | head -c 100000"));
  p.request.stdout_path =
      "file:/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(writer.get());
  h.add(p);
  writer.reset();
  h.start("e");
  EXPECT_TRUE(eventually([&] { return h.state("e").status == api::Status::kStopped; }));
  ttrpc::Request request;
  request.service = api::kShimV1;
  request.method = "Wait";
  request.payload = api::encode(api::WaitRequest{h.id, "e"});
  ttrpc::Call wait(ttrpc::connect_at(h.bundle_dir.get(), api::kSocketFile, soon()), request,
                   soon());
  std::vector<pollfd> answer{{wait.fd(), POLLIN, 0}};
  EXPECT_EQ(poll_until(answer, soon().within(std::chrono::milliseconds(200))), 0);
  std::string buffer(100000, '\0');
  std::size_t got = 0;
  while (got < buffer.size()) {
    ssize_t n = ::read(reader.get(), buffer.data(), buffer.size() - got);
    ASSERT_GT(n, 0);
    got += static_cast<std::size_t>(n);
  }
  EXPECT_EQ(api::decode<api::ExitInfo>(wait.finish(soon())).status, 0U);
  h.end();
}

struct FullDisk {
  explicit FullDisk(const std::string& at) : path(at) {
    std::filesystem::create_directory(path);
    EXPECT_EQ(::mount("none", path.c_str(), "tmpfs", 0, "size=1m"), 0);
    fill();
  }
  ~FullDisk() { ::umount2(path.c_str(), MNT_DETACH); }
  void fill() const {
    UniqueFd filler(::open((path + "/filler").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    std::string block(4096, 'x');
    while (::write(filler.get(), block.data(), block.size()) > 0) continue;
  }
  void make_room() const { std::filesystem::remove(path + "/filler"); }
  std::string path;
};

// B7: a disk that is full for a while costs what was written then, no more, and it is said.
TEST_P(FileOutput, FindsRoomAgain) {
  Harness h(runtime());
  FullDisk disk(h.dir + "/disk");
  h.run_sleeper();
  UniqueFd file(::open((disk.path + "/out").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  ASSERT_TRUE(file);
  Harness::Proc p = h.proc("e", sh("head -c 1000000 /dev/zero; echo >&2; read x; echo tail"),
                           {"stdin", "stderr"});
  p.request.stdout_path = "file:" + disk.path + "/out";
  h.add(p);
  h.start("e");
  wait_ready(p.err.get(), POLLIN, soon(), "waiting for it to have written all");
  disk.make_room();
  write_all(p.in.get(), "go\n");
  EXPECT_EQ(h.wait("e").status, 0U);
  EXPECT_TRUE(h.remove("e").output_cut);
  std::string text = contents(disk.path + "/out");
  EXPECT_TRUE(text.ends_with("tail\n"));
  EXPECT_LT(text.size(), 1000000U);
  h.end();
}

// SIGXFSZ and EFBIG are a full disk too; the shim's limit is its creator's.
TEST_P(FileOutput, OfInitOnAFullDisk) {
  Harness h(runtime());
  FullDisk disk(h.dir + "/disk");
  UniqueFd file(::open((disk.path + "/out").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  h.stdout_path = "file:" + disk.path + "/out";
  h.configure(sh("head -c 1000000 /dev/zero; exit 3"));
  h.spawn();
  h.create();
  h.start();
  EXPECT_EQ(h.wait().exit_status, 3U);
  EXPECT_TRUE(h.exit_file().output_cut);
  h.remove_and_leave();
}

}  // namespace
}  // namespace ctrd::shim
