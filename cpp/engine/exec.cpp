// SPDX-License-Identifier: Apache-2.0
#include "engine/exec.h"

#include <fcntl.h>

#include "base/error.h"
#include "base/files.h"
#include "base/identifier.h"
#include "base/log.h"
#include "engine/other_shim.h"
#include "engine/other_task.h"
#include "engine/rpc.h"
#include "engine/run_loop.h"
#include "engine/verbs.h"

namespace ctrd::engine {
namespace {

// The container's root as it is now. Opened first, looked at then: never another process's.
UniqueFd open_root(const Task& task) {
  std::string path = "/proc/" + std::to_string(task.status.pid) + "/root";
  UniqueFd root(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root || !is_alive(init_of(task.status))) throw task_has_ended(task.id);
  return root;
}

std::string process_json(const Task& task, const oci::ExecOptions& options) {
  UniqueFd root;
  if (!options.user.empty()) root = open_root(task);
  return oci::exec_process_json(read_config(task), options, root.get());
}

std::string chosen_id(const std::string& given) {
  if (given.empty()) return random_hex(6);
  check_identifier("id", given);
  return given;
}

// A tty is one stream.
Stdio stdio_for(Stdio stdio, bool tty) {
  check_stdio(stdio);
  if (tty) stdio.err = Std::kDevnull;
  return stdio;
}

template <typename Reply, typename Ask>
Reply ask_living(Core& core, const Task& task, std::string_view method, const Ask& request,
                 const Wait& wait) {
  auto reply = ask<Reply>(core, task, method, request, wait.within(core.config.rpc_timeout));
  if (!reply) throw task_has_ended(task.id);
  return *reply;
}

}  // namespace

Exec::Exec(Core& core, const TaskRef& ref, const ExecOptions& options, const Stdio& stdio,
           const Wait& wait)
    : core_(core),
      options_(options),
      stdio_(stdio_for(stdio, options.process.tty)),
      task_(get_live_task(core, ref, wait)),
      id_(chosen_id(options.id)),
      json_(process_json(task_, options.process)) {
  if (is_other(task_))
    check_other(task_.status.other_shim, {.limit = options.timeout_ns.has_value(), .stdio = stdio});
  if (!has_pipes(stdio_)) return;
  io_ = std::string(api::kIoDir) + "/x" + random_hex(8);
  try {
    UniqueFd dir = make_dirs_at(task_.dir.get(), io_, 0700);
    streams_ = make_streams(dir.get(), stdio_);
  } catch (...) {
    remove_fifos(task_, io_);
    throw;
  }
}

Exec::~Exec() {
  if (added_) roll_back();
  if (!io_.empty()) remove_fifos(task_, io_);
}

void Exec::add(const Wait& wait) {
  std::string io = core_.bundle_path(task_.ns, task_.id) + "/" + io_;
  api::ExecProcessRequest request;
  request.id = task_.id;
  request.exec_id = id_;
  request.terminal = options_.process.tty;
  StdioPaths stdio{stdin_path(io, stdio_), output_path(io, stdio_, 1), output_path(io, stdio_, 2)};
  if (is_other(task_)) stdio = contract_paths(std::move(stdio), request.terminal);
  request.stdin_path = stdio.in;
  request.stdout_path = stdio.out;
  request.stderr_path = stdio.err;
  request.spec.value = json_;
  added_ = true;  // perhaps: the call may be interrupted
  try {
    ask_living<api::Empty>(core_, task_, "Exec", request, wait);
  } catch (const Error& error) {  // refused; with kAlreadyExists the id is another's
    added_ = error.code() == Code::kDeadlineExceeded;
    throw;
  }
  int64_t limit = time_limit(options_.timeout_ns);
  if (limit == 0) return;
  api::LimitRequest limited{task_.id, id_, limit};
  if (!ask_bytes(core_, task_, api::kShimV1, "Limit", api::encode(limited),
                 wait.within(core_.config.rpc_timeout)))
    throw task_has_ended(task_.id);
}

int Exec::start(const Wait& wait) {
  int pid = start_added(core_, task_, id_, wait);
  if (!io_.empty()) {
    open_stdin(open_dir_at(task_.dir.get(), io_).get(), &streams_.in);
    await_reader(task_, id_, streams_.in.get());
    remove_fifos(task_, io_);
    io_.clear();
  }
  return pid;
}

// It may have begun to run: the call may have been interrupted.
void Exec::roll_back() {
  streams_ = {};  // the shim need not wait for us to read
  try {
    end_process(core_, task_, id_, cleanup_wait());
  } catch (const std::exception& error) {
    log(Level::kWarning,
        "container " + task_.id + ": exec " + id_ + " could not be rolled back: " + error.what());
  }
}

int start_added(Core& core, const Task& task, const std::string& exec, const Wait& wait) {
  api::StartRequest request{task.id, exec};
  return static_cast<int>(ask_living<api::StartResponse>(core, task, "Start", request, wait).pid);
}

void remove_fifos(const Task& task, const std::string& io) {
  try {
    remove_tree_at(task.dir.get(), io);
  } catch (const Error& error) {  // they go with the bundle
    log(Level::kWarning, "container " + task.id + ": " + error.message());
  }
}

NewProcess exec_process(Core& core, const TaskRef& ref, const ExecOptions& options,
                        const Stdio& stdio, const Wait& wait) {
  Exec exec(core, ref, options, stdio, wait);
  NewProcess made;
  exec.add(wait);
  if (options.start)
    made.pid = exec.start(wait);
  else
    made.io = exec.take_io();
  exec.commit();
  made.id = exec.id();
  made.instance = exec.task().status.instance;
  made.in = std::move(exec.streams().in);
  made.out = std::move(exec.streams().out);
  made.err = std::move(exec.streams().err);
  return made;
}

}  // namespace ctrd::engine
