// SPDX-License-Identifier: Apache-2.0
#include "shim/cleanup.h"

#include <csignal>
#include <exception>
#include <functional>
#include <optional>

#include "api/bundle.h"
#include "base/cgroup.h"
#include "base/error.h"
#include "base/files.h"
#include "base/identifier.h"
#include "base/log.h"
#include "base/mount.h"
#include "base/process.h"
#include "base/spawn.h"
#include "base/time.h"
#include "oci/json.h"
#include "oci/verbs.h"
#include "shim/bundle.h"
#include "shim/log_program.h"
#include "shim/socket.h"
#include "ttrpc/client.h"

namespace ctrd::shim {
namespace {

// containerd kills us after 5 s.
constexpr Nanos kShimLimit = std::chrono::milliseconds(500);
constexpr Nanos kStateLimit = std::chrono::milliseconds(500);
constexpr Nanos kRuntimeLimit = std::chrono::seconds(2);
constexpr Nanos kCgroupLimit = std::chrono::seconds(1);
constexpr Nanos kLoggerLimit = std::chrono::milliseconds(500);

constexpr uint32_t kKilled = 128 + SIGKILL;

Wait limited(Nanos limit) { return Wait{.deadline = after(limit), .interrupted = {}}; }

// Each is tried, whatever became of the others.
void attempt(const std::function<void()>& step) {
  try {
    step();
  } catch (const std::exception& error) {
    log(Level::kWarning, std::string("delete: ") + error.what());
  }
}

// It has no connection to containerd any more, and a task: nobody would ever end it.
void end_shim(const api::StatusFile& status) {
  ProcessKey shim{.pid = static_cast<pid_t>(status.shim_pid),
                  .start = status.shim_start,
                  .boot = status.boot_id};
  std::optional<UniqueFd> pidfd = open_pidfd(shim);
  if (!pidfd) return;
  signal_process(shim, SIGKILL);
  wait_ready(pidfd->get(), POLLIN, limited(kShimLimit), "the end of the shim");
}

// One without a task waits for containerd, which does not come again.
void shut_down(int bundle, const std::string& id) {
  std::string path = find_socket(bundle);
  if (path.empty()) return;
  std::size_t slash = path.rfind('/');
  ttrpc::Request request;
  request.service = api::kTaskV2;
  request.method = "Shutdown";
  request.payload = api::encode(api::ShutdownRequest{id});
  try {
    ttrpc::call_at(open_dir(path.substr(0, slash)).get(), path.substr(slash + 1),
                   std::move(request), limited(kShimLimit));
  } catch (const Error& error) {
    if (error.code() != Code::kUnavailable) throw;  // else it has gone
  }
}

oci::Runtime runtime_of(const std::string& bundle, const api::StatusFile& status) {
  std::string root = status.runtime_root;
  if (root.empty()) root = bundle + "/" + api::kRuntimeDir;
  return {.binary = status.runtime,
          .root = root,
          .log = bundle + "/" + api::kRuntimeLogFile,
          .systemd_cgroup = status.systemd_cgroup};
}

Output run(const oci::Command& command, Nanos limit) {
  const char* path = std::getenv("PATH");
  SpawnSpec spec{.argv = command.argv, .env = {}, .cwd_dir = -1, .fds = {}, .new_session = true};
  if (path != nullptr) spec.env.push_back(std::string("PATH=") + path);
  return run_command(spec, "", limited(limit));
}

// A shim that was killed in a create may have found another's container of its id in a root that
// bundles have in common: its bundle tells. What has none yet is half-made, and ours.
bool is_anothers(const oci::Runtime& runtime, const std::string& id, int bundle) {
  Output output = run(oci::state_command(runtime, id), kStateLimit);
  if (output.timed_out || output.exit.status != 0) return false;
  oci::Json state = oci::parse_json(output.out, "state");
  std::string theirs = state.is_object() ? state.value("bundle", "") : "";
  return !theirs.empty() && !is_same_dir(theirs, bundle);
}

void delete_at_runtime(const oci::Runtime& runtime, const std::string& id) {
  oci::Command command = oci::delete_command(runtime, id, true);
  Output output = run(command, kRuntimeLimit);
  oci::check(command, {.status = output.exit.status, .timed_out = output.timed_out});
}

void end_cgroup(const api::StatusFile& status) {
  if (status.cgroups_path.empty() || cgroup_dirs(status.cgroups_path).empty()) return;
  own_cgroup(status.cgroups_path);
  if (!kill_cgroup(status.cgroups_path, limited(kCgroupLimit)))
    log(Level::kWarning, "delete: cgroup " + status.cgroups_path + " does not go");
}

void end_container(const std::string& path, int bundle, const std::string& id,
                   const api::StatusFile& status) {
  oci::Runtime runtime = runtime_of(path, status);
  bool anothers = false;
  if (!status.runtime_root.empty()) attempt([&] { anothers = is_anothers(runtime, id, bundle); });
  if (anothers) return;
  attempt([&] { delete_at_runtime(runtime, id); });
  attempt([&] { end_cgroup(status); });
}

// How it ended, if that was seen.
std::string response_of(const std::optional<api::StatusFile>& status,
                        const std::optional<api::ExitFile>& exit) {
  api::DeleteResponse response{
      .pid = status ? status->pid : 0, .exit_status = kKilled, .exited_ns = wall_ns()};
  if (exit && status && exit->instance == status->instance) {
    response.exit_status = exit->status;
    response.exited_ns = exit->exited_ns;
  }
  return api::encode(response);
}

}  // namespace

std::string delete_shim(const Arguments& arguments) {
  check_identifier("-namespace", arguments.get("namespace"));
  check_identifier("-id", arguments.get("id"));
  std::string bundle = arguments.get("bundle");
  if (bundle.empty()) bundle = real_path(".");
  UniqueFd dir = open_dir(bundle);
  std::optional<api::StatusFile> status;
  std::optional<api::ExitFile> exit;
  attempt([&] { status = api::find_status_file(dir.get()); });
  attempt([&] { status ? end_shim(*status) : shut_down(dir.get(), arguments.get("id")); });
  attempt([&] { remove_address(dir.get()); });
  attempt([&] { exit = api::find_exit_file(dir.get()); });
  if (status) end_container(bundle, dir.get(), arguments.get("id"), *status);
  attempt([&] { end_log_programs(dir.get(), kLoggerLimit); });
  attempt([&] { unmount_all(bundle + "/" + api::kRootfsDir); });
  return response_of(status, exit);
}

}  // namespace ctrd::shim
