// SPDX-License-Identifier: Apache-2.0
// What never waits for anything: adding, queries, signals.
#include "shim/exec.h"

#include <csignal>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "oci/check_spec.h"
#include "shim/child.h"

namespace ctrd::shim {
namespace {

constexpr mode_t kFileMode = 0600;
constexpr mode_t kDirMode = 0700;

oci::Json parse_process(const std::string& text) {
  oci::Json process = oci::parse_json(text, "process");
  if (!process.is_object()) throw invalid("process", process.type_name(), "must be an object");
  oci::Json spec = {{"process", process}};
  oci::check_process({&spec, "spec"});
  return process;
}

}  // namespace

Exec::Exec(TaskSide& task, api::ExecProcessRequest request)
    : task_(task), request_(std::move(request)), stdio_(task.loop) {
  oci::Json process = parse_process(request_.spec.value);
  request_.spec = {};
  process["terminal"] = request_.terminal;
  task_.remove_left_cgroups();
  stdio_.open_first(paths(), request_.terminal);
  make_dirs_at(task_.bundle.dir(), dir(), kDirMode);
  write_process(oci::dump_json(process, "process"));
}

void Exec::write_process(const std::string& json) {
  UniqueFd at = open_dir_at(task_.bundle.dir(), dir());
  replace_file_at(at.get(), api::kProcessFile, json, kFileMode, false);
}

Error Exec::wrong_state(const std::string& verb) const {
  const char* is = starting_                          ? "it is being started"
                   : failed_                          ? "it could not be started"
                   : status_ == api::Status::kCreated ? "it is not started yet"
                   : status_ == api::Status::kRunning ? "it is running"
                                                      : "it has ended";
  return failed_precondition(name() + " cannot be " + verb + ": " + is, Kind::kProcess);
}

void Exec::kill(uint32_t signal, bool all) {
  bool at_its_start = starting_ && signal == SIGKILL;
  if (status_ == api::Status::kCreated && !at_its_start) throw wrong_state("killed");
  killed_ |= signal == SIGKILL;
  kill_tree_ |= signal == SIGKILL && all;
  if (at_its_start) return try_kill(pidfd_);
  send_signal(pidfd_, signal, name());
}

void Exec::resize(Size size) {
  if (!request_.terminal) return;
  check_size(size);
  if (status_ == api::Status::kStopped) throw wrong_state("resized");
  if (status_ == api::Status::kCreated) size_ = size;
  stdio_.resize(size);
}

void Exec::limit(int64_t timeout_ns) {
  if (status_ != api::Status::kCreated || starting_ || failed_) throw wrong_state("limited");
  if (timeout_ns < 0) throw invalid("timeout", std::to_string(timeout_ns), "is negative");
  timeout_ns_ = timeout_ns;
}

api::StateResponse Exec::state(api::Status of_task) const {
  api::StateResponse state;
  state.id = id();
  state.bundle = task_.bundle.path();
  state.pid = pid();
  bool frozen = of_task == api::Status::kPaused || of_task == api::Status::kPausing;
  state.status = status_ == api::Status::kRunning && frozen ? of_task : status_;
  state.stdin_path = request_.stdin_path;
  state.stdout_path = request_.stdout_path;
  state.stderr_path = request_.stderr_path;
  state.terminal = request_.terminal;
  if (!ended_) return state;
  state.exit_status = static_cast<uint32_t>(ended_->status);
  state.exited_ns = ended_->time_ns;
  return state;
}

}  // namespace ctrd::shim
