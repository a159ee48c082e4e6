// SPDX-License-Identifier: Apache-2.0
// What engine and shim both know: the layout of a bundle, the numbers of the inherited descriptors,
// Create's options, and the status and exit files. Field numbers are never reused; a version byte
// stands in front on disk. Source: design.md 5, 7, 10.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "api/task.h"

namespace ctrd::api {

// Files of a bundle, relative to it.
inline constexpr const char* kConfigFile = "config.json";
inline constexpr const char* kRootfsDir = "rootfs";
inline constexpr const char* kRuntimeDir = "rt";  // the runtime's --root
inline constexpr const char* kSocketFile = "sock";
inline constexpr const char* kStatusFile = "status";
inline constexpr const char* kExitFile = "exit";
inline constexpr const char* kShimLogFile = "shim.log";
inline constexpr const char* kRuntimeLogFile = "log.json";
inline constexpr const char* kInitPidFile = "init.pid";
inline constexpr const char* kIoDir = "io";  // io/stdin io/stdout io/stderr: FIFOs
// exec/<exec id>/: FIFOs of the same names, made by the client; pid and process.json by the shim,
// which removes it all at the exec's Delete.
inline constexpr const char* kExecDir = "exec";
inline constexpr const char* kExecPidFile = "pid";  // the host pid, decimal, once it is started
inline constexpr const char* kProcessFile = "process.json";

// Descriptors of the shim under our engine (action `serve`); 0 /dev/null, 1 and 2 shim.log.
inline constexpr int kListenFd = 3;  // bound to sock and listening
inline constexpr int kOwnerFd = 4;   // pidfd of the owner, or /dev/null
inline constexpr int kClaimFd = 5;   // the bundle directory, flock'ed exclusively
inline constexpr int kSpawnerFd =
    6;  // pidfd of the process that spawns it, watched until Create has succeeded

// Create's stdio paths: "" is /dev/null; "log:" is the framed log (stdout, stderr); "stdout:" as
// stderr merges it into stdout; an absolute path is a FIFO, opened for writing by the shim with
// retries of ENXIO until Create's deadline (stdin: for reading); "file:" and an absolute path is a
// file, a terminal, or a client's descriptor as /proc/<pid>/fd/<n>, opened by Create and by Exec
// (not only at Start) and appended to; what finds no room in it is lost (output_cut), what comes
// later is not.
inline constexpr std::string_view kLogPath = "log:";
inline constexpr std::string_view kMergePath = "stdout:";
inline constexpr std::string_view kFilePath = "file:";  // before an absolute path

inline constexpr std::string_view kOptionsType = "ctrd.shim.v1.Options";
enum class Lifetime : int { kOwner = 0, kDetached = 1 };
enum class OnExit : int { kKeep = 0, kDelete = 1 };
struct Options {
  std::string binary_name;       // the OCI runtime: an absolute path
  std::string journal_dir;       // <root>/journal: an absolute path; "": no events
  std::string log_dir;           // <root>/logs/<instance>: an absolute path; made by the shim, 0700
  int64_t log_max = 64ll << 20;  // bytes of framed log kept
  Lifetime lifetime = Lifetime::kOwner;
  OnExit on_exit = OnExit::kKeep;
  int64_t timeout_ns = 0;  // limit of the task from Start on; 0: none
  int64_t drain_ns = 2'000'000'000;
  std::string instance;      // of the task: 16 hex digits, made by the engine
  std::string cgroups_path;  // as in the spec, "/ctrd-..."
  // What containerd's clients may ask for (runc_options.h). runtime_root: the runtime's --root; "":
  // kRuntimeDir of the bundle.
  std::string runtime_root;
  bool no_pivot_root = false, no_new_keyring = false, systemd_cgroup = false;
  uint32_t io_uid = 0, io_gid = 0;  // who owns the container's pipes
  bool wait_for_readers = false;    // what is written while nobody has a FIFO open waits there
};
std::string encode(const Options& options);
template <>
Options decode<Options>(std::string_view bytes);

// <bundle>/status: replaced at each transition, before the RPC is answered.
struct StatusFile {
  std::string instance;
  Status status = Status::kUnknown;
  uint32_t pid = 0;  // init, host pid; its start time and boot id make it a name
  uint64_t pid_start = 0;
  std::string boot_id;
  int64_t created_ns = kNotYet, started_ns = kNotYet;
  uint32_t shim_pid = 0;
  uint64_t shim_start = 0;
  std::string cgroups_path, log_dir, runtime;  // what whoever cleans up after a killed shim needs
  bool detached = false;  // no owner is watched: whatever the record says, its end ends nothing
  OnExit on_exit = OnExit::kKeep;
  std::string runtime_root;  // as in Options
  bool systemd_cgroup = false;
  std::string other_shim;  // path of the program, if it is not our shim: then the engine writes
};
// <bundle>/exit: how init ended; written before Wait is answered.
enum class Lost : int { kNot = 0, kShim = 1, kReboot = 2 };
struct ExitFile {
  uint32_t status = 0;  // exit code, or 128 + signal
  uint32_t signal = 0;
  int64_t started_ns = kNotYet, exited_ns = kNotYet;
  bool oom_killed = false, escalated = false, output_cut = false, timed_out = false;
  Lost lost = Lost::kNot;
  std::string instance;  // of the task that ended
};
std::string encode_file(const StatusFile& file);  // with the version byte
std::string encode_file(const ExitFile& file);
StatusFile decode_status_file(std::string_view bytes);  // throws kDataLoss
ExitFile decode_exit_file(std::string_view bytes);
// nullopt: not there. Throws kDataLoss with "path": it cannot be decoded.
std::optional<StatusFile> find_status_file(int bundle_dir);
std::optional<ExitFile> find_exit_file(int bundle_dir);

}  // namespace ctrd::api
