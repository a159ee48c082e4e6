// SPDX-License-Identifier: Apache-2.0
#include "oci/verbs.h"

#include <array>
#include <utility>

#include "base/error.h"
#include "oci/runtime_errors.h"

namespace ctrd::oci {
namespace {

using std::chrono::seconds;

struct VerbFacts {
  Verb verb;
  std::string_view name;
  Nanos deadline;
};
constexpr std::array<VerbFacts, 12> kVerbs = {{
    {Verb::kCreate, "create", seconds(30)},
    {Verb::kStart, "start", seconds(30)},
    {Verb::kState, "state", seconds(10)},
    {Verb::kKill, "kill", seconds(10)},
    {Verb::kDelete, "delete", seconds(10)},
    {Verb::kPause, "pause", seconds(10)},
    {Verb::kResume, "resume", seconds(10)},
    {Verb::kExec, "exec", seconds(30)},
    {Verb::kUpdate, "update", seconds(10)},
    {Verb::kCheckpoint, "checkpoint", seconds(600)},
    {Verb::kRestore, "restore", seconds(600)},
    {Verb::kVersion, "--version", seconds(10)},
}};

Command make(const Runtime& runtime, Verb verb, std::vector<std::string> args) {
  std::vector<std::string> argv = {runtime.binary, "--root",       runtime.root, "--log",
                                   runtime.log,    "--log-format", "json"};
  if (runtime.systemd_cgroup) argv.emplace_back("--systemd-cgroup");
  argv.emplace_back(verb_name(verb));
  argv.insert(argv.end(), std::make_move_iterator(args.begin()),
              std::make_move_iterator(args.end()));
  return {verb, std::move(argv), "", verb_deadline(verb), runtime.log};
}

void add_option(std::vector<std::string>& args, const char* name, const std::string& value) {
  if (!value.empty()) args.insert(args.end(), {name, value});
}

std::vector<std::string> checkpoint_args(const CheckpointDirs& dirs, const CheckpointFlags& flags) {
  std::vector<std::string> args = {"--image-path", dirs.images, "--work-path", dirs.work};
  if (flags.tcp) args.emplace_back("--tcp-established");
  if (flags.unix_sockets) args.emplace_back("--ext-unix-sk");
  if (flags.terminal) args.emplace_back("--shell-job");
  if (flags.file_locks) args.emplace_back("--file-locks");
  for (const std::string& name : flags.empty_namespaces)
    args.insert(args.end(), {"--empty-ns", name});
  return args;
}

Error not_launched(const Command& command, int err) {
  std::string what = "OCI runtime \"" + command.argv.front() + "\": cannot execute it";
  Error error = sys_error(err, std::move(what));
  Code code = err == ENOENT || err == ENOTDIR ? Code::kNotFound : error.code();
  return Error(code, error.message(), Kind::kRuntime, err)
      .with("runtime", command.argv.front())
      .with("verb", std::string(verb_name(command.verb)));
}

Error late(const Command& command) {
  std::string verb(verb_name(command.verb));
  auto limit = std::chrono::duration_cast<seconds>(command.deadline).count();
  return Error(Code::kDeadlineExceeded, "OCI runtime \"" + command.argv.front() + "\": " + verb +
                                            " had not ended after " + std::to_string(limit) +
                                            " s and was killed")
      .with("runtime", command.argv.front())
      .with("verb", verb);
}

}  // namespace

std::string_view verb_name(Verb verb) { return kVerbs.at(static_cast<std::size_t>(verb)).name; }

Nanos verb_deadline(Verb verb) { return kVerbs.at(static_cast<std::size_t>(verb)).deadline; }

Command create_command(const Runtime& runtime, const std::string& id, const std::string& bundle,
                       const std::string& pid_file, const std::string& console_socket,
                       CreateFlags flags) {
  std::vector<std::string> args = {"--bundle", bundle, "--pid-file", pid_file};
  add_option(args, "--console-socket", console_socket);
  if (flags.no_pivot) args.emplace_back("--no-pivot");
  if (flags.no_new_keyring) args.emplace_back("--no-new-keyring");
  args.insert(args.end(), {"--", id});
  return make(runtime, Verb::kCreate, std::move(args));
}

Command start_command(const Runtime& runtime, const std::string& id) {
  return make(runtime, Verb::kStart, {"--", id});
}

Command state_command(const Runtime& runtime, const std::string& id) {
  return make(runtime, Verb::kState, {"--", id});
}

Command kill_command(const Runtime& runtime, const std::string& id, int signal, bool all) {
  std::vector<std::string> args;
  if (all) args.emplace_back("--all");
  args.insert(args.end(), {"--", id, std::to_string(signal)});
  return make(runtime, Verb::kKill, std::move(args));
}

Command delete_command(const Runtime& runtime, const std::string& id, bool force) {
  std::vector<std::string> args;
  if (force) args.emplace_back("--force");
  args.insert(args.end(), {"--", id});
  return make(runtime, Verb::kDelete, std::move(args));
}

Command pause_command(const Runtime& runtime, const std::string& id) {
  return make(runtime, Verb::kPause, {"--", id});
}

Command resume_command(const Runtime& runtime, const std::string& id) {
  return make(runtime, Verb::kResume, {"--", id});
}

Command update_command(const Runtime& runtime, const std::string& id, std::string resources) {
  Command command = make(runtime, Verb::kUpdate, {"--resources", "-", "--", id});
  command.input = std::move(resources);
  return command;
}

Command exec_command(const Runtime& runtime, const std::string& id, const ExecFiles& files) {
  std::vector<std::string> args = {"--detach", "--process", files.process, "--pid-file",
                                   files.pid_file};
  add_option(args, "--console-socket", files.console_socket);
  add_option(args, "--cgroup", files.cgroup);
  args.insert(args.end(), {"--", id});
  return make(runtime, Verb::kExec, std::move(args));
}

Command checkpoint_command(const Runtime& runtime, const std::string& id,
                           const CheckpointDirs& dirs, const CheckpointFlags& flags, bool exit) {
  std::vector<std::string> args = checkpoint_args(dirs, flags);
  if (!exit) args.emplace_back("--leave-running");
  args.insert(args.end(), {"--", id});
  return make(runtime, Verb::kCheckpoint, std::move(args));
}

Command restore_command(const Runtime& runtime, const std::string& id, const CheckpointDirs& dirs,
                        const CheckpointFlags& flags, const RestoreFiles& files, bool no_pivot) {
  std::vector<std::string> args = checkpoint_args(dirs, flags);
  args.insert(args.end(), {"--detach", "--bundle", files.bundle, "--pid-file", files.pid_file});
  add_option(args, "--console-socket", files.console_socket);
  if (no_pivot) args.emplace_back("--no-pivot");
  args.insert(args.end(), {"--", id});
  return make(runtime, Verb::kRestore, std::move(args));
}

Command version_command(const std::string& binary) {
  return {Verb::kVersion, {binary, "--version"}, "", verb_deadline(Verb::kVersion), ""};
}

void check(const Command& command, const Outcome& outcome) {
  if (outcome.launch_errno != 0) throw not_launched(command, outcome.launch_errno);
  if (outcome.timed_out) throw late(command);
  if (outcome.status == 0) return;
  Error error = runtime_error(command, outcome);
  if (command.verb == Verb::kDelete && says_gone(error)) return;
  throw error;
}

}  // namespace ctrd::oci
