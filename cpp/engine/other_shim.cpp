// SPDX-License-Identifier: Apache-2.0
#include "engine/other_shim.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/mount.h"
#include "base/spawn.h"
#include "base/text.h"
#include "engine/other_answer.h"
#include "engine/rpc.h"
#include "engine/runtime_options.h"

namespace ctrd::engine {
namespace {

constexpr Nanos kStartLimit = std::chrono::seconds(30);
constexpr Nanos kDeleteLimit = std::chrono::seconds(5);  // containerd's
constexpr std::size_t kMaxWords = 64 << 10;
constexpr std::string_view kUnix = "unix://";
constexpr const char* kAddressFile = "address";  // written by `start`
constexpr const char* kLogFile = "log";          // where such a shim writes its own

std::vector<std::string> parts_of(std::string_view name) {
  std::vector<std::string> parts(1);
  for (char c : name)
    if (c == '.')
      parts.emplace_back();
    else
      parts.back() += c;
  return parts;
}

std::string program_of(const std::string& runtime) {
  auto parts = parts_of(runtime);
  bool bad = parts.size() < 3 || runtime.find('/') != runtime.npos ||
             std::find(parts.begin(), parts.end(), "") != parts.end();
  if (bad)
    throw invalid("runtime", runtime, "must be a name such as io.containerd.runc.v2, or a program");
  return "containerd-shim-" + parts[parts.size() - 2] + "-" + parts.back();
}

SpawnSpec command_of(const OtherShim& shim, std::vector<std::string> action) {
  // The address only makes its socket's name, and tells whose it is (orphans.cpp).
  SpawnSpec spec;
  spec.argv = {shim.binary, "-namespace", shim.ns, "-address", real_path(fd_path(shim.dir)),
               "-id",       shim.id};
  spec.argv.insert(spec.argv.end(), action.begin(), action.end());
  const char* path = std::getenv("PATH");
  spec.env = {std::string("PATH=") + (path ? path : "/usr/sbin:/usr/bin:/sbin:/bin")};
  spec.cwd_dir = shim.dir;
  spec.new_session = true;
  return spec;
}

Error start_failed(const OtherShim& shim, const std::string& why, const std::string& words) {
  std::string said(trimmed(words));
  return Error(Code::kInternal,
               shim.binary + " start " + why + (said.empty() ? "" : ": " + escaped(said, 512)),
               Kind::kRuntime)
      .with("runtime", shim.binary)
      .with("verb", "start")
      .with("log_tail", escaped(said, 512));
}

std::string socket_path(const OtherShim& shim, const Output& output) {
  std::string words = output.out + output.err;
  if (output.timed_out) throw start_failed(shim, "did not end in time and was killed", words);
  if (output.exit.status != 0)
    throw start_failed(shim, "failed with exit status " + std::to_string(output.exit.status),
                       words);
  std::optional<ShimAnswer> answer = parse_shim_answer(output.out);
  if (!answer) throw start_failed(shim, "printed no address of a unix socket", words);
  return socket_of(shim.binary, *answer);
}

void make_log(int dir) {
  create_file_at(dir, api::kShimLogFile, "", 0600);
  if (::symlinkat(api::kShimLogFile, dir, kLogFile) < 0) throw sys_error("make the shim's log");
}

ProcessKey ask_who(const OtherShim& shim, const Wait& wait) {
  std::string request = api::encode(api::ConnectRequest{shim.id});
  try {
    auto reply = begin_call(shim.dir, api::kTaskV2, "Connect", request, wait).finish(wait);
    auto pid = static_cast<pid_t>(api::decode<api::ConnectResponse>(reply).shim_pid);
    if (auto start = start_time(pid)) return {pid, *start, boot_id()};
  } catch (const Error& error) {
    if (error.code() == Code::kUnimplemented)
      throw lacks(shim.binary, "containerd.task.v2.Task",
                  "use one of containerd 1.6 or 1.7; version 3 alone is not enough");
    throw start_failed(shim, "gave a shim that does not answer", error.message());
  }
  throw start_failed(shim, "gave a shim that does not say its pid", "");
}

void unlink_socket(const std::string& path) {
  struct stat facts;
  if (!path.starts_with('/') || ::lstat(path.c_str(), &facts) < 0 || !S_ISSOCK(facts.st_mode))
    return;
  ::unlink(path.c_str());
}

void unlink_named_sockets(int bundle) {
  char target[PATH_MAX];
  ssize_t size = ::readlinkat(bundle, api::kSocketFile, target, sizeof target);
  if (size > 0) unlink_socket({target, static_cast<std::size_t>(size)});
  std::string address = find_file_at(bundle, kAddressFile, PATH_MAX).value_or("");
  if (address.starts_with(kUnix)) unlink_socket(address.substr(kUnix.size()));
}

}  // namespace

bool is_other_shim(std::string_view runtime) {
  return runtime.starts_with("io.") && runtime != kOurShim;
}

std::string find_other_shim(const std::string& runtime) {
  std::string program = program_of(runtime);
  if (auto path = find_program(program)) return *path;
  const char* path = std::getenv("PATH");
  throw not_found(Kind::kRuntime, "runtime \"" + runtime + "\": its shim " + program +
                                      " is not on PATH (" + (path ? path : "") + ")")
      .with("field", "runtime")
      .with("value", runtime)
      .with("runtime", program);
}

Error lacks(const std::string& runtime, const std::string& what, const std::string& hint) {
  return Error(Code::kUnimplemented, runtime + ": this shim has no " + what)
      .with("field", "runtime")
      .with("value", runtime)
      .with("hint", hint);
}

void check_supported(const std::string& runtime, const Wanted& wanted) {
  if (is_other_shim(runtime)) check_other(runtime, wanted);
}

void check_other(const std::string& runtime, const Wanted& wanted) {
  if (wanted.deletion)
    throw lacks(runtime, "on_exit=\"delete\"", "delete the container when it has ended");
  if (wanted.limit)
    throw lacks(runtime, "timeout=, a limit of a process and of all that it forks",
                "kill it from here when it is late");
  if (wanted.checkpoint)
    throw lacks(runtime, "checkpoints of ctrd's", "use runtime=\"runc\", with ctrd's own shim");
  if (wanted.owner)
    throw lacks(runtime, "lifetime=\"owner\"",
                "use lifetime=\"detached\", or run, which sees it through");
  if (wanted.stdio.out == Std::kLog || wanted.stdio.err == Std::kLog)
    throw lacks(runtime, "LOG, which is read later and by others",
                "stdout and stderr must be PIPE, DEVNULL or a file");
  if (wanted.stdio.in == Std::kFile)
    throw lacks(runtime, "stdin from a file", "use stdin=PIPE and write its content");
}

StdioPaths contract_paths(StdioPaths paths, bool terminal) {
  for (std::string* path : {&paths.in, &paths.out, &paths.err})
    if (path->starts_with(api::kFilePath)) path->erase(0, api::kFilePath.size());
  if (paths.err == api::kMergePath) paths.err = paths.out;
  // One alone is refused, and a terminal without a reader.
  bool any = terminal || !paths.in.empty() || !paths.out.empty() || !paths.err.empty();
  if (any && paths.out.empty()) paths.out = "/dev/null";
  if (any && !terminal && paths.err.empty()) paths.err = "/dev/null";
  return paths;
}

bool is_runcs_shim(std::string_view runtime) { return runtime.starts_with("io.containerd.runc."); }

api::Any other_options(const metadata::Container& record, const std::string& bundle) {
  if (!is_runcs_shim(record.runtime_name)) return record.runtime_options;
  RuncOptions options = runc_options(record.runtime_options).value_or(RuncOptions());
  options.binary_name = record.runtime_binary;
  options.root = bundle + "/" + api::kRuntimeDir;
  return pack(options);
}

ProcessKey start_other_shim(const OtherShim& shim, const api::Any& options, const Wait& wait) {
  make_log(shim.dir);
  std::string input = options.type_url.empty() ? "" : api::encode(options);
  Wait limit = wait.within(kStartLimit);
  Output output = run_command(command_of(shim, {"start"}), input, limit, kMaxWords);
  if (output.timed_out) wait.check();
  std::string socket = socket_path(shim, output);
  if (::symlinkat(socket.c_str(), shim.dir, api::kSocketFile) < 0)
    throw sys_error("name the shim's socket");
  return ask_who(shim, limit);
}

void delete_by_other_shim(const OtherShim& shim) {
  try {
    std::string bundle = real_path(fd_path(shim.dir));
    SpawnSpec spec = command_of(shim, {"-bundle", bundle, "delete"});
    Output output = run_command(spec, "", Wait{after(kDeleteLimit), {}}, kMaxWords);
    if (output.exit.status != 0)
      log(Level::kDebug, "container " + shim.id + ": " + shim.binary + " delete: " + output.err);
  } catch (const Error& error) {
    log(Level::kWarning, "container " + shim.id + ": " + error.message());
  }
}

void remove_other_remains(int bundle) {
  unlink_named_sockets(bundle);
  unmount_all(real_path(fd_path(bundle)) + "/" + api::kRootfsDir);
}

}  // namespace ctrd::engine
