// SPDX-License-Identifier: Apache-2.0
#include "shim/start.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>

#include "base/cgroup.h"
#include "base/error.h"
#include "base/files.h"
#include "base/identifier.h"
#include "base/spawn.h"
#include "oci/json.h"
#include "shim/containerd_options.h"
#include "shim/socket.h"
#include "shim/stdin.h"

namespace ctrd::shim {
namespace {

constexpr const char* kSocketDir = "/run/containerd/s";
constexpr const char* kLogFifo = "log";
constexpr std::array<const char*, 4> kVariables{"PATH", "CTRD_LOG", "CTRD_RUNTIME",
                                                "TTRPC_ADDRESS"};

struct Start {
  std::string id, ns, bundle;
  UniqueFd dir;  // of the bundle, locked
  StartInput input;
};

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string socket_dir(const Start& start) {
  if (start.input.params && !start.input.params->socket_dir.empty())
    return start.input.params->socket_dir;
  std::string named = variable("SHIM_SOCKET_DIR");
  return named.empty() ? kSocketDir : named;
}

std::vector<std::string> environment(const Start& start) {
  std::vector<std::string> env;
  for (const char* name : kVariables) {
    std::string value = variable(name);
    if (value.empty() && name == std::string_view("TTRPC_ADDRESS") && start.input.params)
      value = start.input.params->ttrpc_address;
    if (!value.empty()) env.push_back(std::string(name) + "=" + value);
  }
  return env;
}

// containerd has it open. While nobody reads it, and when it is full, words are lost.
UniqueFd open_log(const Start& start, const UniqueFd& null) {
  try {
    return open_at(start.dir.get(), kLogFifo, O_WRONLY | O_NONBLOCK);
  } catch (const Error&) {
    return null.dup();
  }
}

bool wants_debug(const Arguments& arguments, const Start& start) {
  return arguments.has("debug") || (start.input.params && start.input.params->log_level < 0);
}

Child spawn_server(const Arguments& arguments, const Start& start, const UniqueFd& listener) {
  UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null) throw sys_error("opening /dev/null");
  UniqueFd log = open_log(start, null);
  SpawnSpec spec;
  spec.argv = {real_path("/proc/self/exe"),
               "-namespace",
               start.ns,
               "-id",
               start.id,
               "-bundle",
               start.bundle,
               "-address",
               arguments.get("address")};
  if (arguments.has("idle-ms"))
    spec.argv.insert(spec.argv.end(), {"-idle-ms", arguments.get("idle-ms")});
  if (wants_debug(arguments, start)) spec.argv.emplace_back("-debug");
  spec.argv.insert(spec.argv.end(), {"-containerd", "serve"});
  spec.env = environment(start);
  spec.cwd_dir = start.dir.get();
  spec.fds = {{log.get(), STDERR_FILENO},
              {listener.get(), api::kListenFd},
              {null.get(), api::kOwnerFd},
              {start.dir.get(), api::kClaimFd},
              {null.get(), api::kSpawnerFd}};
  return spawn(spec);
}

// In every hierarchy that has one of this name.
void enter_cgroup(pid_t pid, const std::string& path) {
  std::vector<UniqueFd> dirs = open_cgroup(path);
  if (dirs.empty()) throw invalid("shim_cgroup", path, "there is no such cgroup");
  for (const UniqueFd& dir : dirs) {
    UniqueFd procs = open_at(dir.get(), "cgroup.procs", O_WRONLY);
    write_all(procs.get(), std::to_string(pid));
  }
}

// Programs of other shims must not share a core's threads with it, if containerd is told so.
void make_core_group() {
  constexpr int kOfProcessGroup = 2;
  if (variable("SCHED_CORE").empty()) return;
  if (::prctl(PR_SCHED_CORE, PR_SCHED_CORE_CREATE, 0, kOfProcessGroup, 0) < 0)
    throw sys_error("SCHED_CORE: making a group of its own");
}

std::string current_dir() { return real_path("."); }

Start read_start(const Arguments& arguments) {
  Start start{.id = arguments.get("id"),
              .ns = arguments.get("namespace"),
              .bundle = current_dir(),
              .dir = open_dir("."),
              .input = {}};
  check_identifier("-namespace", start.ns);
  check_identifier("-id", start.id);
  start.input = parse_start_input(read_stdin(), start.id, start.ns);
  if (!try_lock(start.dir.get()))
    throw Error(Code::kAlreadyExists, "bundle " + start.bundle + ": it has a shim already");
  return start;
}

std::string answer(const Start& start, const std::string& address) {
  if (!start.input.params) return address;
  oci::Json json = {{"version", 2}, {"address", address}, {"protocol", "ttrpc"}};
  return oci::dump_json(json, "the answer");
}

void run_server(const Arguments& arguments, const Start& start, const Listener& listener) {
  make_core_group();
  std::string cgroup = runc_options(start.input.options).shim_cgroup;
  Child server = spawn_server(arguments, start, listener.fd);
  try {
    if (!cgroup.empty()) enter_cgroup(server.pid, cgroup);
  } catch (...) {
    ::kill(server.pid, SIGKILL);
    throw;
  }
}

// Others are for shims that know of more than options.
api::Any options_among(const std::vector<api::Extension>& extensions) {
  auto known = [](const api::Extension& one) { return are_runc_options(one.value); };
  auto found = std::find_if(extensions.begin(), extensions.end(), known);
  return found == extensions.end() ? api::Any{} : found->value;
}

}  // namespace

StartInput parse_start_input(const std::string& bytes, const std::string& id,
                             const std::string& ns) {
  StartInput input;
  try {
    auto params = api::decode<api::BootstrapParams>(bytes);
    if (params.instance_id == id && params.ns == ns) {
      input.options = options_among(params.extensions);
      input.params = std::move(params);
      return input;
    }
  } catch (const Error&) {  // then it is not that
  }
  try {
    input.options = api::decode<api::Any>(bytes);
  } catch (const Error&) {
    return {};
  }
  return input;
}

std::string start_shim(const Arguments& arguments) {
  Start start = read_start(arguments);
  remove_address(start.dir.get());  // of one that was killed here
  Listener listener = listen_in(socket_dir(start));
  try {
    write_address(start.dir.get(), listener.address);
    run_server(arguments, start, listener);
  } catch (...) {
    remove_socket(listener.fd.get());
    remove_address(start.dir.get());
    throw;
  }
  return answer(start, listener.address);
}

}  // namespace ctrd::shim
