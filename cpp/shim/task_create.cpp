// SPDX-License-Identifier: Apache-2.0
// Create: all or nothing.
#include <malloc.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <exception>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/process.h"
#include "oci/runtime_errors.h"
#include "shim/leftovers.h"
#include "shim/task.h"

namespace ctrd::shim {
namespace {

void check_request(const api::CreateRequest& request, const std::string& id,
                   const std::string& bundle) {
  if (request.id != id) throw invalid("id", request.id, "this shim was started for " + id);
  if (request.bundle != bundle)
    throw invalid("bundle", request.bundle, "this shim's bundle is " + bundle);
  if (request.terminal)
    throw Error(Code::kUnimplemented, "create: a terminal is not supported yet");
  if (!request.checkpoint.empty())
    throw Error(Code::kUnimplemented, "create: restoring a checkpoint is not supported yet");
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
  if (exists()) throw Error(Code::kAlreadyExists, "task " + id_ + " is there already", Kind::kTask);
  if (ending_) throw Error(Code::kUnavailable, "create: the shim is ending");
  check_request(request, id_, bundle_.path());
  options_ = decode_options(request.options);
  publisher_.open(options_.journal_dir, options_.instance);
  std::exception_ptr failure;
  try {
    co_await make(request, std::min(deadline, after(limits_.fifo)));
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
  shim::start(loop_, settle(), "settling the end of task " + id_);
  co_return api::CreateResponse{.pid = pid()};
}

asio::awaitable<void> Task::make(const api::CreateRequest& request, TimePoint deadline) {
  Patience patience{.deadline = deadline, .given_up = [this] { return ending_; }};
  StdioPaths paths{request.stdin_path, request.stdout_path, request.stderr_path};
  stdio_.emplace(loop_);
  co_await stdio_->open(paths, options_, patience);
  if (!request.rootfs.empty()) {
    bundle_.make_rootfs();
    mount_all(request.rootfs, bundle_.file(api::kRootfsDir));
  }
  Reaper::Keep keep(reaper_);
  co_await run_create();
  if (ending_) throw Error(Code::kAborted, "create: the shim is ending");
  try {
    adopt_init();
  } catch (Error& error) {
    if (error.kind() == Kind::kRuntime) error.with("runtime", options_.binary_name);
    throw;
  }
  created_ns_ = wall_ns();
  status_ = api::Status::kCreated;
  bundle_.write(status_file());
  bundle_.make_spare();
}

asio::awaitable<void> Task::run_create() {
  bundle_.try_remove(api::kInitPidFile);
  oci::Command command =
      limited(oci::create_command(runtime(), id_, bundle_.path(), bundle_.file(api::kInitPidFile)));
  Runner::Running running = runner_.launch(command, stdio_->child_ends());
  runtime_ran_ = running.launch_errno == 0;
  stdio_->close_child_ends();
  std::exception_ptr bad_config = read_config();  // meanwhile
  oci::Outcome outcome = co_await runner_.outcome(running);
  oci::check(command, outcome);
  if (bad_config) std::rethrow_exception(bad_config);
}

std::exception_ptr Task::read_config() {
  config_.cgroups_path = options_.cgroups_path;
  try {
    ConfigFacts facts = bundle_.config_facts();
    config_.private_pids = facts.private_pids;
    if (config_.cgroups_path.empty()) config_.cgroups_path = std::move(facts.cgroups_path);
    check_cgroups_path(config_.cgroups_path);
  } catch (...) {
    config_.cgroups_path.clear();
    return std::current_exception();
  }
  ::malloc_trim(0);  // a parsed config is the most memory that a shim ever uses
  return nullptr;
}

// The pid file names init. It is a child of ours, or it has ended and was reaped; a number that is
// neither must never get a signal.
void Task::adopt_init() {
  pid_t pid = bundle_.init_pid();
  bool ended = reaper_.has_ended(pid);
  if (!ended && !Reaper::is_child(pid))
    throw Error(Code::kInternal,
                "the runtime's create exited 0 with a pid file that names no child of it: " +
                    std::to_string(pid),
                Kind::kRuntime);
  reaper_.expect(pid);
  pid_ = pid;
  if (ended) return;
  pidfd_.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!pidfd_) throw sys_error("opening a pidfd of init " + std::to_string(pid));
  pid_start_ = start_time(pid, false).value_or(0);
}

asio::awaitable<void> Task::roll_back() {
  if (stdio_) stdio_->shut();
  if (runtime_ran_) {
    co_await runner_.run(limited(oci::delete_command(runtime(), id_, true)));
    co_await kill_leftovers(config_.cgroups_path, limits_.kill);
  }
  if (pid_ > 0) reaper_.drop(pid_);
  remove_log(options_.log_dir);
  clean();
  bundle_.try_remove(api::kStatusFile);
  forget();
}

}  // namespace ctrd::shim
