// SPDX-License-Identifier: Apache-2.0
#include "shim/checkpoint.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

#include "api/any_type.h"
#include "base/cgroup.h"
#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "oci/criu_log.h"

namespace ctrd::shim {
namespace {

constexpr std::size_t kMaxLog = 32u << 20;
constexpr const char* kConfig = "criu.conf";
// A file that was deleted, and is open, may be as big: by itself CRIU takes 1 MiB.
constexpr const char* kConfigOfAll = "ghost-limit 1G\n";
constexpr mode_t kPrivate = 0700;  // memory holds secrets

// Where to: a log that cannot be read or kept is not worth another error.
std::string keep_log(const Bundle& bundle, const std::string& dir, const char* name) {
  try {
    std::string text = find_file_at(open_dir(dir).get(), name, kMaxLog).value_or("");
    if (!text.empty()) replace_file_at(bundle.dir(), api::kCriuLogFile, text, 0600, false);
    return text;
  } catch (const Error& error) {
    log(Level::kWarning, error.message());
    return "";
  }
}

// This machine has v2 alone.
bool is_unified() {
  UniqueFd file(::open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC));
  if (!file) return false;
  std::string lines = read_file(file.get());
  return lines.starts_with("0::") && lines.find('\n') + 1 == lines.size();
}

Error error_of(const oci::Command& command, const oci::Outcome& outcome) {
  try {
    oci::check(command, outcome);
  } catch (const Error& error) {
    return error;
  }
  return Error(Code::kInternal, "the runtime failed", Kind::kRuntime);
}

}  // namespace

api::CheckpointOptions checkpoint_options(const api::Any& any) {
  std::string_view type = api::bare_type(any.type_url);
  if (type == api::kCheckpointOptionsType) return api::decode<api::CheckpointOptions>(any.value);
  if (type == api::kLinuxCheckpointOptionsType)
    return api::decode<api::LinuxCheckpointOptions>(any.value).options;
  if (type.empty()) return {};
  throw invalid("options", any.type_url, "expected " + std::string(api::kCheckpointOptionsType));
}

oci::CheckpointFlags checkpoint_flags(const api::CheckpointOptions& options) {
  return {.tcp = options.open_tcp,
          .unix_sockets = options.external_unix_sockets,
          .terminal = options.terminal,
          .file_locks = options.file_locks,
          .empty_namespaces = options.empty_namespaces};
}

void make_image_dir(const std::string& path) {
  if (!path.starts_with('/')) throw invalid("path", path, "not an absolute path");
  if (::mkdir(path.c_str(), kPrivate) < 0 && errno != EEXIST) throw sys_error("making " + path);
}

void need_image_dir(const std::string& path) {
  struct stat facts {};
  bool is_dir = ::stat(path.c_str(), &facts) == 0 && S_ISDIR(facts.st_mode);
  if (!is_dir)
    throw not_found(Kind::kCheckpoint, "checkpoint " + escaped(path) + ": no such directory");
}

CriuWork::CriuWork(const Bundle& bundle, const std::string& given)
    : bundle_(bundle),
      path_(given.empty() ? bundle.file(api::kCriuDir) : given),
      ours_(given.empty()) {
  if (ours_) bundle_.try_remove(api::kCriuDir);  // a killed one's
  make_image_dir(path_);
}

CriuWork::~CriuWork() {
  bundle_.try_remove(kConfig);
  if (ours_) bundle_.try_remove(api::kCriuDir);
}

std::vector<std::string> CriuWork::configure(const api::CriuOptions& options,
                                             const std::string& cgroup) const {
  std::string text = kConfigOfAll;
  if (!cgroup.empty() && is_unified()) text += "cgroup-root " + cgroup + "\n";
  if (options.close_tcp) text += "tcp-close\n";
  if (options.skip_network_lock) text += "network-lock skip\n";
  replace_file_at(bundle_.dir(), kConfig, text, 0600, false);
  return {"CRIU_CONFIG_FILE=" + bundle_.file(kConfig)};
}

Error CriuWork::failed(const oci::Command& command, const oci::Outcome& outcome) const {
  const char* name = command.verb == oci::Verb::kRestore ? "restore.log" : "dump.log";
  std::string text = keep_log(bundle_, path_, name);
  std::string path = text.empty() ? "" : bundle_.file(api::kCriuLogFile);
  return oci::criu_error(error_of(command, outcome), text, path);
}

void check_cgroup(pid_t init, const std::string& wanted) {
  std::string is = cgroup_of(init);
  bool is_below = is == wanted || is.starts_with(wanted + "/");
  if (wanted.empty() || is.empty() || is_below || !is_unified()) return;
  throw Error(Code::kUnimplemented,
              "it would be restored in the cgroup " + is + " instead of " + wanted,
              Kind::kCheckpoint)
      .with("hint", "use runc, and a CRIU that knows cgroup-root");
}

void set_hostname(pid_t init, const std::string& hostname) {
  auto open_ns = [](const std::string& who) {
    std::string path = "/proc/" + who + "/ns/uts";
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) throw sys_error("opening " + path);
    return fd;
  };
  UniqueFd ours = open_ns("self"), theirs = open_ns(std::to_string(init));
  struct stat a {
  }, b{};
  if (::fstat(ours.get(), &a) < 0 || ::fstat(theirs.get(), &b) < 0 || a.st_ino == b.st_ino) return;
  if (::setns(theirs.get(), CLONE_NEWUTS) < 0) throw sys_error("entering its UTS namespace");
  int failed = ::sethostname(hostname.data(), hostname.size()) < 0 ? errno : 0;
  if (::setns(ours.get(), CLONE_NEWUTS) < 0) throw sys_error("leaving its UTS namespace");
  if (failed != 0) throw sys_error(failed, "setting hostname \"" + hostname + "\"");
}

}  // namespace ctrd::shim
