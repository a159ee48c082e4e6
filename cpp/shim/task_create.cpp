// SPDX-License-Identifier: Apache-2.0
// Create: all or nothing.
#include <malloc.h>
#include <sys/stat.h>

#include <exception>
#include <utility>

#include "base/cgroup.h"
#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/process.h"
#include "oci/runtime_errors.h"
#include "shim/child.h"
#include "shim/containerd_options.h"
#include "shim/leftovers.h"
#include "shim/task.h"

namespace ctrd::shim {
namespace {

void check_request(const api::CreateRequest& request, const std::string& id, const Bundle& bundle) {
  if (request.id != id) throw invalid("id", request.id, "this shim was started for " + id);
  if (request.bundle != bundle.path() && !is_same_dir(request.bundle, bundle.dir()))
    throw invalid("bundle", request.bundle, "this shim's bundle is " + bundle.path());
}

// Everything in that cgroup may be killed: it must be the task's own, never "/" or somebody else's.
void check_cgroups_path(const std::string& path) {
  bool ours = path.starts_with("/ctrd-") && path.find('/', 1) == std::string::npos;
  if (!ours) throw invalid("cgroupsPath", path, "expected one level that begins with /ctrd-");
}

api::Options decode_options(const api::Any& any) {
  if (any.type_url != api::kOptionsType)
    throw invalid("options", any.type_url, "expected " + std::string(api::kOptionsType));
  auto options = api::decode<api::Options>(any.value);
  if (!options.binary_name.starts_with('/'))
    throw invalid("binary_name", options.binary_name, "not the absolute path of a runtime");
  if (!options.cgroups_path.empty()) check_cgroups_path(options.cgroups_path);
  if (options.drain_ns < 0)
    throw invalid("drain_ns", std::to_string(options.drain_ns), "is negative");
  return options;
}

// Made by this create, or it would have failed before.
void remove_log(const std::string& path) {
  if (path.empty()) return;
  try {
    remove_tree_at(open_dir(path.substr(0, path.rfind('/'))).get(),
                   path.substr(path.rfind('/') + 1));
  } catch (const Error& error) {
    log(Level::kWarning, error.message());
  }
}

}  // namespace

asio::awaitable<api::CreateResponse> Task::create(api::CreateRequest request, TimePoint deadline) {
  Lock::Guard guard = co_await lock_.acquire();
  if (exists())
    throw Error(Code::kAlreadyExists, "task " + side_.id + " is there already", Kind::kTask);
  if (ending_) throw Error(Code::kUnavailable, "create: the shim is ending");
  check_request(request, side_.id, side_.bundle);
  side_.options = side_.client.is_containerd ? containerd_options(request.options, side_.client.ns)
                                             : decode_options(request.options);
  side_.publisher.open(side_.options.journal_dir, side_.options.instance);
  std::exception_ptr failure;
  try {
    co_await make(request, std::min(deadline, after(side_.limits.fifo)));
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure) {
    co_await roll_back();
    std::rethrow_exception(failure);
  }
  request_ = std::move(request);
  request_.options = {};
  publish_created();
  if (awaits_restore()) co_return api::CreateResponse{};
  watch_oom();
  shim::start(side_.loop, settle(), "settling the end of task " + side_.id);
  co_return api::CreateResponse{.pid = pid()};
}

asio::awaitable<void> Task::make(const api::CreateRequest& request, TimePoint deadline) {
  Patience patience{.deadline = deadline, .given_up = [this] { return ending_; }};
  check_id_is_free();
  // Whoever comes after a killed shim must know what there may be.
  if (side_.client.is_containerd) side_.bundle.write(status_file());
  StdioPaths paths =
      side_.stdio_paths({request.stdin_path, request.stdout_path, request.stderr_path});
  stdio_.emplace(side_.loop);
  stdio_->open_first(paths, request.terminal);
  co_await stdio_->run_program(paths, side_.loggers, side_.id, patience);
  co_await stdio_->open(paths, side_.options, patience, request.terminal);
  if (!request.rootfs.empty()) {
    side_.bundle.make_rootfs();
    mount_all(request.rootfs, side_.bundle.file(api::kRootfsDir));
  }
  if (request.checkpoint.empty())
    co_await make_process(request);
  else
    prepare_restore(request);
  created_ns_ = wall_ns();
  status_ = api::Status::kCreated;
  side_.bundle.write(status_file());
  side_.bundle.make_spare();
}

asio::awaitable<void> Task::make_process(const api::CreateRequest& request) {
  Reaper::Keep keep(side_.reaper);
  std::optional<ConsoleSocket> console;
  if (request.terminal) console.emplace(open_dir_at(side_.bundle.dir(), "."));
  std::string console_path = console ? console->path() : "";
  co_await run_create(std::move(console_path));
  if (ending_) throw Error(Code::kAborted, "create: the shim is ending");
  adopt_init(keep);
  if (side_.config.cgroups_path.empty()) claim_cgroup_of_init();
  if (console) {
    UniqueFd master = co_await console->receive();
    stdio_->connect(std::move(master));
  }
}

// In a root that bundles have in common its container may be another's, which no failure of ours
// may end.
void Task::check_id_is_free() const {
  const std::string& root = side_.options.runtime_root;
  struct stat facts {};
  if (root.empty() || ::lstat((root + "/" + side_.id).c_str(), &facts) < 0) return;
  throw Error(Code::kAlreadyExists,
              "Root: there is a container " + side_.id + " in " + root + " already");
}

// It was made since we looked.
void Task::check_made(const oci::Command& command, const oci::Outcome& outcome) {
  try {
    oci::check(command, outcome);
  } catch (const Error& error) {
    bool is_anothers = error.code() == Code::kAlreadyExists && !side_.options.runtime_root.empty();
    if (is_anothers) {
      runtime_ran_ = false;
      side_.config.cgroups_path.clear();
    }
    throw;
  }
}

void Task::watch_oom() {
  oom_watch_.emplace(
      side_.loop, side_.config.cgroups_path, [this] { return side_.count_oom_kills(); },
      [this](uint64_t kills) { saw_oom(kills); });
}

asio::awaitable<void> Task::run_create(std::string console_socket) {
  side_.bundle.try_remove(api::kInitPidFile);
  std::exception_ptr bad_config;
  bool first = side_.client.is_containerd;  // is anybody in the cgroup that it names?
  if (first) bad_config = read_config();
  oci::Command command = side_.limited(oci::create_command(
      side_.runtime(api::kRuntimeLogFile), side_.id, side_.bundle.path(),
      side_.bundle.file(api::kInitPidFile), console_socket,
      {.no_pivot = side_.options.no_pivot_root, .no_new_keyring = side_.options.no_new_keyring}));
  Runner::Running running = side_.runner.launch(command, stdio_->child_ends());
  runtime_ran_ = running.launch_errno == 0;
  stdio_->close_child_ends();
  if (!first) bad_config = read_config();  // meanwhile
  oci::Outcome outcome = co_await side_.runner.outcome(std::move(running));
  bool same_terminal = side_.config.terminal == !console_socket.empty();
  if (!bad_config && !same_terminal)  // runc refuses it too, but does not say what is wrong
    throw invalid("terminal", console_socket.empty() ? "false" : "true",
                  "config.json says otherwise");
  check_made(command, outcome);
  if (bad_config) std::rethrow_exception(bad_config);
}

std::exception_ptr Task::read_config() {
  side_.config.cgroups_path = side_.options.cgroups_path;
  try {
    ConfigFacts facts = side_.bundle.config_facts();
    side_.config.private_pids = facts.private_pids;
    if (side_.config.cgroups_path.empty())
      side_.config.cgroups_path = std::move(facts.cgroups_path);
    if (side_.client.is_containerd)
      claim_cgroup(std::exchange(side_.config.cgroups_path, {}), {});
    else
      check_cgroups_path(side_.config.cgroups_path);
    side_.config.terminal = facts.terminal;
  } catch (...) {
    side_.config.cgroups_path.clear();
    return std::current_exception();
  }
  ::malloc_trim(0);  // a parsed config is the most memory that a shim ever uses
  return nullptr;
}

// A cgroup that is not named as ours are may be killed as a whole only if nobody is in it but
// `members`, now at its beginning. Else the runtime alone knows what to do with it.
void Task::claim_cgroup(std::string path, const std::vector<pid_t>& members) {
  if (!path.starts_with('/')) return;  // systemd's form, or none
  try {
    if (cgroup_pids(path) != members) return;
    own_cgroup(path);
    side_.config.cgroups_path = std::move(path);
  } catch (const Error& error) {
    log(Level::kWarning, error.message());
  }
}

// Where the runtime has put it by its own rules.
void Task::claim_cgroup_of_init() { claim_cgroup(cgroup_of(pid_), {pid_}); }

// The pid file names init. It is a child of ours, or it has ended and was reaped; a number that is
// neither must never get a signal.
void Task::adopt_init(const Reaper::Keep& keep) {
  pid_t pid = 0;
  try {
    pid = side_.bundle.read_pid(api::kInitPidFile);
  } catch (Error& error) {
    error.with("runtime", side_.options.binary_name);
    throw;
  }
  if (!side_.reaper.adopt(pid, keep)) throw no_child_of(side_.options.binary_name, pid);
  pid_ = pid;
  if (side_.reaper.has_ended(pid)) return;
  pidfd_ = open_child(pid);
  pid_start_ = start_time(pid, false).value_or(0);
}

asio::awaitable<void> Task::roll_back() {
  if (stdio_) stdio_->shut();
  if (runtime_ran_) {
    co_await side_.runner.run(
        side_.limited(oci::delete_command(side_.runtime(api::kRuntimeLogFile), side_.id, true)));
    co_await kill_leftovers(side_.config.cgroups_path, side_.limits.kill, side_.loggers.groups);
  }
  if (pid_ > 0) side_.reaper.drop(pid_);
  remove_log(side_.options.log_dir);
  clean();
  side_.bundle.try_remove(api::kStatusFile);
  forget();
}

}  // namespace ctrd::shim
