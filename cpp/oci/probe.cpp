// SPDX-License-Identifier: Apache-2.0
#include "oci/probe.h"

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <filesystem>
#include <optional>

#include "base/cgroup.h"
#include "base/error.h"
#include "base/files.h"
#include "base/leftover.h"
#include "base/process.h"
#include "base/spawn.h"
#include "oci/runtime_errors.h"
#include "oci/spec.h"
#include "oci/verbs.h"

namespace ctrd::oci {
namespace {

constexpr Nanos kLimit = std::chrono::seconds(10);
constexpr Nanos kCleanLimit = std::chrono::seconds(5);
constexpr std::size_t kMaxLog = 64u << 10;
const std::vector<std::string> kEnv = {
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"};

std::string hex_of(const std::string& name) { return name.substr(name.rfind('-') + 1); }

std::string cgroup_of(const std::string& name) {
  return cgroups_path("probe", "probe", hex_of(name));
}

// The probe's directory and cgroup, which go with it, however it ends.
class Place {
 public:
  explicit Place(int state_dir)
      : state_dir_(state_dir),
        name_(name_of_ours(kProbePrefix, 6)),
        dir_(make_dir_at(state_dir, name_, 0700)) {
    path_ = real_path(fd_path(dir_.get()));
  }
  ~Place() {
    try {
      remove_probe(state_dir_, name_);
    } catch (const std::exception&) {  // the next probe has a place of its own
    }
  }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

  std::string id() const { return "probe-" + hex_of(name_); }
  std::string cgroup() const { return cgroup_of(name_); }
  std::string path(const std::string& file = "") const {
    return file.empty() ? path_ : path_ + "/" + file;
  }
  int dir() const { return dir_.get(); }

 private:
  int state_dir_;
  std::string name_;
  UniqueFd dir_;
  std::string path_;
};

Outcome outcome_of(const Command& command, const Wait& wait) {
  Outcome outcome;
  try {
    SpawnSpec spec;
    spec.argv = command.argv;
    spec.env = kEnv;
    Output output = run_command(std::move(spec), command.input, wait, kMaxLog);
    outcome.status = output.exit.status;
    outcome.timed_out = output.timed_out;
    outcome.err = command.verb == Verb::kVersion ? output.out : output.err;
  } catch (const Error& error) {
    if (error.sys_errno() == 0) throw;
    outcome.launch_errno = error.sys_errno();
  }
  return outcome;
}

// The log is the runtime's only while it runs, so a failure's words are the last in it.
void run(const Place& place, Command command, const Wait& wait) {
  Outcome outcome = outcome_of(command, wait);
  if (outcome.timed_out) command.deadline = kLimit;
  outcome.log = find_file_at(place.dir(), "log.json").value_or("");
  check(command, outcome);
}

std::string first_line(const std::string& text) {
  return escaped(text.substr(0, text.find('\n')), 200);
}

std::string version_of(const std::string& binary, const Wait& wait) {
  Command command = version_command(binary);
  Outcome outcome = outcome_of(command, wait);
  check(command, outcome);
  return first_line(outcome.err);
}

void write_bundle(const Place& place, const std::string& payload) {
  SpecOptions options;
  options.args = {"/payload", "-v"};
  options.mounts = {
      {.type = "bind", .source = payload, .destination = "/payload", .read_only = true}};
  std::string spec = make_spec(options, place.id(), place.cgroup(), -1);
  bool v2 = ::access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0;
  make_dir_at(place.dir(), "rootfs", 0755);
  create_file_at(place.dir(), "config.json", make_config(spec, v2), 0600);
}

// The first process as its pid file says it, while it waits for start; so the number is its own.
std::optional<UniqueFd> first_process(const Place& place) {
  std::string text = read_file_at(place.dir(), "init.pid", 64);
  pid_t pid = 0;
  std::from_chars(text.data(), text.data() + text.size(), pid);
  auto start = pid > 0 ? start_time(pid) : std::nullopt;
  if (!start) return std::nullopt;
  return open_pidfd({pid, *start, boot_id()});
}

// Its parent is the runtime, which has ended: whoever adopts orphans reaps it. Should that be us,
// nobody else will.
void wait_end(const UniqueFd& process, const Wait& wait) {
  wait_ready(process.get(), POLLIN, wait, "the probe's process");
  siginfo_t info{};
  ::waitid(P_PIDFD, static_cast<id_t>(process.get()), &info, WEXITED | WNOHANG);
}

void try_container(const std::string& binary, const std::string& payload, int state_dir,
                   const Wait& wait) {
  Place place(state_dir);
  write_bundle(place, payload);
  Runtime runtime{binary, place.path("rt"), place.path("log.json")};
  run(place, create_command(runtime, place.id(), place.path(), place.path("init.pid")), wait);
  auto process = first_process(place);
  run(place, start_command(runtime, place.id()), wait);
  if (process) wait_end(*process, wait);
  run(place, delete_command(runtime, place.id(), false), wait);
}

}  // namespace

void remove_probe(int state_dir, const std::string& name) {
  kill_cgroup(cgroup_of(name), {after(kCleanLimit), {}});
  remove_tree_at(state_dir, name);
}

Probe probe_runtime(const std::string& name_or_path, const std::string& payload, int state_dir,
                    const Wait& wait) {
  Probe probe;
  auto binary = find_program(name_or_path);
  if (!binary) {
    probe.reason = "\"" + escaped(name_or_path, 200) + "\" is not there, or not executable";
    return probe;
  }
  Wait limited = wait.within(kLimit);
  try {
    probe.binary = std::filesystem::absolute(*binary).string();
    probe.version = version_of(probe.binary, limited);
    try_container(probe.binary, payload, state_dir, limited);
    probe.ok = true;
  } catch (const Error& error) {
    // No fault of the runtime's when it could not even say its version: no program can be run here.
    bool nothing_runs = error.code() == Code::kFailedPrecondition && probe.version.empty();
    if (error.code() == Code::kCancelled || nothing_runs) throw;
    probe.reason = error.message();
  }
  return probe;
}

}  // namespace ctrd::oci
