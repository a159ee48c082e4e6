// SPDX-License-Identifier: Apache-2.0
#include "engine/fixture.h"

#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "api/bundle.h"
#include "base/cgroup.h"
#include "base/files.h"
#include "base/mountinfo.h"
#include "engine/children.h"
#include "engine/root.h"
#include "engine/task.h"

namespace ctrd::engine {
namespace fs = std::filesystem;
namespace {

void make_busybox(const std::string& root) {
  for (const char* dir : {"bin", "dev", "etc", "proc", "sys", "tmp"})
    fs::create_directories(root + "/" + dir);
  auto program = find_program("busybox");
  ASSERT_TRUE(program) << "busybox-static is missing: scripts/setup packages";
  fs::copy_file(*program, root + "/bin/busybox");
  for (const char* name :
       {"sh", "true", "false", "cat", "echo", "sleep", "id", "head", "yes", "dd", "env", "hostname",
        "ls", "kill", "seq", "test", "touch", "printf", "mount"})
    fs::create_symlink("busybox", root + "/bin/" + name);
  create_file_at(open_dir(root + "/etc").get(), "passwd",
                 "root:x:0:0::/:/bin/sh\nuser:x:1000:1000::/:/bin/sh\n", 0644);
}

// Descriptors as number -> target. Sockets and pipes keep their inode in it, so one that is new is
// seen.
std::set<std::string> descriptors() {
  std::set<std::string> all;
  for (const auto& entry : fs::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    std::string target = fs::read_symlink(entry.path(), gone);
    if (!gone && !target.ends_with("/fd"))
      all.insert(entry.path().filename().string() + " " + target);
  }
  return all;
}

std::vector<std::string> names(const std::string& dir) {
  return fs::exists(dir) ? list_dir(open_dir(dir).get()) : std::vector<std::string>();
}

// Processes, zombies too, whose parent we are; and any whose command line names our state.
std::vector<std::string> processes(const std::string& state) {
  std::vector<std::string> found;
  for (const auto& name : names("/proc")) {
    if (name.find_first_not_of("0123456789") != name.npos) continue;
    auto facts = process_facts(std::stoi(name));
    if (!facts || facts->pid == ::getpid()) continue;
    std::string line;
    for (const auto& arg : facts->args) line += arg + " ";
    if (facts->ppid == ::getpid() || line.find(state) != line.npos)
      found.push_back(name + " " + line);
  }
  return found;
}

}  // namespace

Wait soon() { return {after(kLong), {}}; }
Wait within_ms(int ms) { return {after(std::chrono::milliseconds(ms)), {}}; }

std::string shim_binary() {
  const char* path = std::getenv("CTRD_SHIM");
  if (path) return path;
  return fs::read_symlink("/proc/self/exe").parent_path() / "containerd-shim-ctrd-v2";
}

Code code_of(const std::function<void()>& f, Error* error) {
  try {
    f();
    return Code::kOk;
  } catch (const Error& thrown) {
    if (error) *error = thrown;
    return thrown.code();
  }
}

void EngineTest::SetUp() {
  this_process();
  boot_id();
  std::string pattern = "/tmp/ctrd-engine-XXXXXX";
  ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
  top_ = pattern;
  root_ = top_ + "/root";
  state_ = top_ + "/state";
  rootfs_ = top_ + "/busybox";
  make_busybox(rootfs_);
  descriptors_ = descriptors();
}

void EngineTest::TearDown() {
  close_all();
  expect_no_trace();
  fs::remove_all(top_);
}

void EngineTest::close_all() {
  for (auto& engine : open_) {
    try {
      if (!engine->closed()) engine->recover(soon());  // what dead owners' names leave
      engine->close(soon());
    } catch (const std::exception& error) {
      ADD_FAILURE() << "close: " << error.what();
    }
  }
  open_.clear();
}

void EngineTest::expect_no_trace() const {
  reap_ending(soon());
  reap_children();
  EXPECT_EQ(processes(state_), std::vector<std::string>());
  for (const auto& entry : read_mountinfo())
    EXPECT_FALSE(entry.target.starts_with(top_)) << "mount " << entry.target;
  if (fs::exists(root_)) {
    std::string prefix = "ctrd-" + open_root(config()).hash6 + "-";
    for (const auto& mount : cgroup_mounts())
      for (const auto& name : names(mount))
        EXPECT_FALSE(name.starts_with(prefix)) << "cgroup " << mount << "/" << name;
  }
  EXPECT_EQ(names(root_ + "/snapshots"), std::vector<std::string>());
  EXPECT_EQ(names(root_ + "/logs"), std::vector<std::string>());
  auto bundles = names(state_ + "/" + kNs);
  std::erase(bundles, ".exits");  // how swept tasks ended: bounded by number and age
  EXPECT_EQ(bundles, std::vector<std::string>());
  EXPECT_EQ(names(state_ + "/.owners"), std::vector<std::string>());
  EXPECT_EQ(descriptors(), descriptors_);
}

Config EngineTest::config() const {
  Config config;
  config.root = root_;
  config.state = state_;
  config.runtime = runtime_;
  config.shim = shim_binary();
  return config;
}

std::shared_ptr<Engine> EngineTest::open() { return open_.emplace_back(Engine::open(config())); }

Engine& EngineTest::engine() {
  if (open_.empty()) open();
  return *open_.front();
}

CreateOptions EngineTest::options(const std::vector<std::string>& args) const {
  CreateOptions options;
  options.rootfs = rootfs_;
  options.spec.args = args;
  return options;
}

std::string EngineTest::create(const std::vector<std::string>& args) {
  return engine().create(kNs, options(args), soon()).id;
}

std::string EngineTest::start(const std::vector<std::string>& args, const Stdio& stdio) {
  std::string id = create(args);
  engine().create_task(kNs, id, stdio, false, soon());
  engine().start_task(task(id), soon());
  return id;
}

RunResult EngineTest::run(const CreateOptions& create, const RunOptions& options) {
  return engine().run(kNs, create, options, soon(), nullptr);
}

std::string EngineTest::log_text(const std::string& id, bool follow) {
  LogOptions options;
  options.follow = follow;
  auto logs = engine().logs(kNs, id, options, soon());
  std::string text;
  while (auto line = logs->next(soon())) text += line->data + (line->partial ? "" : "\n");
  return text;
}

pid_t EngineTest::shim_pid(const std::string& id) const {
  return static_cast<pid_t>(api::find_status_file(open_dir(bundle(id)).get())->shim_pid);
}

void EngineTest::kill_shim(const std::string& id) const {
  ProcessKey shim = shim_of(*api::find_status_file(open_dir(bundle(id)).get()));
  ASSERT_TRUE(signal_process(shim, SIGKILL));
  ASSERT_TRUE(wait_process(shim, soon()));
}

}  // namespace ctrd::engine
