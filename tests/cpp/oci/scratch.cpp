// SPDX-License-Identifier: Apache-2.0
#include "oci/scratch.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "base/cgroup.h"
#include "base/files.h"
#include "base/mount.h"
#include "base/process.h"
#include "base/spawn.h"
#include "oci/spec.h"

namespace ctrd::oci {
namespace {

const std::vector<std::string> kEnv = {
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"};

std::string read_whole(const std::string& path) {
  UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  return file ? read_file(file.get()) : "";
}

}  // namespace

Scratch::Scratch() : path_("/tmp/ctrd-oci-" + random_hex(6)) {
  if (::mkdir(path_.c_str(), 0755) != 0) throw sys_error("make " + path_);
  dir_ = open_dir(path_);
}

Scratch::~Scratch() {
  unmount_all(path_);
  UniqueFd parent = open_dir("/tmp");
  remove_tree_at(parent.get(), path_.substr(5));
}

void Scratch::write(const std::string& name, const std::string& text, unsigned mode) {
  std::string path = path_ + "/" + name;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  UniqueFd file(::open(path.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600));
  if (!file) throw sys_error("write " + path);
  write_all(file.get(), text);
  ::fchmod(file.get(), static_cast<mode_t>(mode));
}

void Scratch::make_rootfs() {
  write("rootfs/etc/passwd",
        "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1001:Ann:/home/ann:/bin/sh\n");
  write("rootfs/etc/group", "root:x:0:\nann:x:1001:\nwheel:x:10:ann,bob\n");
  write("rootfs/bin/data", "no program\n");
  std::filesystem::create_directories(path_ + "/rootfs/bin/folder");
  std::filesystem::copy_file("/bin/busybox", path_ + "/rootfs/bin/busybox");
  for (const char* name : {"sh", "cat", "ls", "true", "sleep", "mount", "id", "grep", "mknod",
                           "hostname", "stat", "unshare", "wc", "dd", "env", "chroot"}) {
    std::filesystem::create_symlink("busybox", path_ + "/rootfs/bin/" + name);
  }
}

RealContainer::RealContainer(Scratch& scratch, const std::string& runtime)
    : scratch_(scratch),
      binary_(find_program(runtime).value_or("")),
      cgroup_(cgroups_path("testoci", "oci", random_hex(4))) {}

RealContainer::~RealContainer() { kill_cgroup(cgroup_, {after(std::chrono::seconds(20)), {}}); }

Runtime RealContainer::runtime() const {
  return {binary_, bundle() + "/rt", bundle() + "/log.json"};
}

void RealContainer::configure(const SpecOptions& options) {
  bool v2 = ::access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0;
  UniqueFd root = open_dir(scratch_.path() + "/rootfs");
  configure_text(make_config(make_spec(options, id(), cgroup_, root.get()), v2));
}

void RealContainer::configure_text(const std::string& config) {
  scratch_.write("config.json", config);
}

std::string RealContainer::config() const { return read_whole(bundle() + "/config.json"); }

Outcome RealContainer::run(const Command& command) {
  std::string out = bundle() + "/output";
  scratch_.write("log.json", "");
  UniqueFd output(::open(out.c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0644));
  SpawnSpec spec;
  spec.argv = command.argv;
  spec.env = kEnv;
  spec.fds = {{output.get(), 1}, {output.get(), 2}};
  Output result = run_command(std::move(spec), command.input, {after(command.deadline), {}});
  Outcome outcome;
  outcome.status = result.exit.status;
  outcome.timed_out = result.timed_out;
  outcome.log = read_whole(bundle() + "/log.json");
  return outcome;
}

void RealContainer::check_run(const Command& command) { check(command, run(command)); }

Error RealContainer::failure(const Command& command) {
  Outcome outcome = run(command);
  return error_of([&] { check(command, outcome); });
}

void RealContainer::wait_end() {
  pid_t pid = std::stoi(read_whole(bundle() + "/init.pid"));
  auto start = start_time(pid);
  if (!start) return;
  auto pidfd = open_pidfd({pid, *start, boot_id()});
  if (pidfd)
    wait_ready(pidfd->get(), POLLIN, {after(std::chrono::seconds(60)), {}}, "the container");
}

std::string RealContainer::output() const { return read_whole(bundle() + "/output"); }

std::vector<std::string> runtimes() {
  std::vector<std::string> found;
  for (const char* name : {"crun", "runc"}) {
    if (find_program(name)) found.emplace_back(name);
  }
  return found;
}

}  // namespace ctrd::oci
