// SPDX-License-Identifier: Apache-2.0
// What the engine takes and gives, as plain values: no JSON, no protobuf, no LevelDB, so that
// bindings need nothing else. Times are ns since 1970, 0 if it has not happened. Names and meaning:
// ../shared/api.md.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/event_fields.h"
#include "api/task.h"
#include "base/cgroup_stats.h"
#include "base/process.h"
#include "base/unique_fd.h"
#include "oci/exec.h"
#include "oci/options.h"

namespace ctrd::engine {

enum class TaskStatus : int {
  kNone,
  kCreated,
  kRunning,
  kPausing,
  kPaused,
  kStopped,
  kUnknown
};  // Python's strings, in this order
enum class Lost : int { kNot, kShim, kReboot };

struct ExitStatus {
  int status = 0;  // exit code, or 128 + signal
  std::optional<int> signal;
  int64_t started_ns = 0, exited_ns = 0;
  bool oom_killed = false, timed_out = false, escalated = false, output_cut = false;
  Lost lost = Lost::kNot;
};

struct ContainerInfo {
  std::string id, image, rootfs;  // image "" for a Rootfs
  std::map<std::string, std::string> labels, annotations;
  int64_t created_ns = 0, updated_ns = 0;
  std::string runtime;  // the OCI runtime's path
  std::string snapshotter, snapshot_key;
  bool detached = false;
  int owner_pid = 0;  // 0: detached
  TaskStatus status = TaskStatus::kNone;
  int pid = 0;  // host pid of init while created or running, else 0
  std::optional<ExitStatus> exit;
  std::map<std::string, std::string> extensions = {};  // JSON
  std::string runtime_name = {};                       // of its shim
  api::Any runtime_options = {};                       // runtime_options.h
  std::string sandbox_id = {};                         // "": none
};

struct CreateOptions {
  std::string id;  // "": one is made up (12 hex digits that pass the identifier rule)
  bool replace = false, detached = false;
  bool delete_on_exit = false;  // container, layer and task go when the task ends
  std::string rootfs;           // Rootfs(path): absolute or relative to the caller's cwd
  std::string snapshot;         // or Snapshot(key): metadata/changes.h, add
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> extensions;  // JSON
  std::string runtime;      // "auto", "crun", "runc", a path; "": the engine's, or the namespace's
  std::string snapshotter;  // "auto", "overlay", "native"; "" likewise
  api::Any runtime_options = {};  // runtime_options.h
  std::string sandbox_id = {};    // "": none
  oci::SpecOptions spec;
};

// What is not named stays. labels, annotations: nullopt removes a key.
struct RecordChange {
  std::map<std::string, std::optional<std::string>> labels = {}, annotations = {};
  std::optional<oci::ResourceOptions> resources = {};                 // of a task that lives too
  std::map<std::string, std::optional<std::string>> extensions = {};  // JSON; nullopt removes
  std::optional<std::string> image = {}, snapshot_key = {};
  std::optional<std::string> spec = {};  // JSON: a merge patch; with fields the whole
  // containerd's field paths: just what they name becomes what is given (metadata/containers.h).
  std::optional<std::vector<std::string>> fields = {};
};

struct ListOptions {
  std::vector<std::string> filters;                          // metadata/filter.h
  std::map<std::string, std::optional<std::string>> labels;  // nullopt: the key is set
  std::set<TaskStatus> status;                               // empty: any
  std::optional<std::size_t> limit;
};

enum class Std : int {
  kPipe = -1,
  kStdout = -2,
  kDevnull = -3,
  kLog = -5,
  kFile = -6
};  // subprocess's numbers; kStdout for stderr only
struct Stdio {
  Std in = Std::kDevnull, out = Std::kLog, err = Std::kLog;
  // kFile: absolute paths, which the shim opens; a regular file is appended to.
  std::string in_path = {}, out_path = {}, err_path = {};
};

// One task for ever; instance "" is whichever the container has now.
struct TaskRef {
  std::string ns, id, instance;
};
struct NewTask {
  std::string instance;
  int pid = 0;
  UniqueFd in, out, err;  // our ends of PIPEs, non-blocking; else closed
};
struct TaskState {
  TaskStatus status = TaskStatus::kNone;
  int pid = 0;
  std::optional<ExitStatus> exit;
  bool tty = false;
};
struct TaskProcess {
  ProcessFacts facts;
  std::string exec_id;  // "": none started it
};
struct TaskStats {
  std::string instance;
  CgroupStats figures;
};
struct TaskInfo {
  std::string container_id, instance, runtime, spec;  // spec: JSON
};

// One process of a task: by the id of an exec, or by its host pid if that is not 0; "" and 0 are
// its first process.
struct ProcessRef {
  TaskRef task;
  std::string exec;
  int pid = 0;
};
struct ExecOptions {
  std::string id;  // "": one is made up
  oci::ExecOptions process;
  std::optional<int64_t> timeout_ns;  // of the process: the shim kills it then, and what it forked
  bool start = true;
};
struct NewProcess {
  std::string id, instance;
  int pid = 0;            // 0: not started
  UniqueFd in, out, err;  // as NewTask's
  std::string io;         // not started: its FIFOs, for start_process
};
// Descriptors of the caller that an attached process talks to, and our ends of its pipes (-1: by
// way of its bundle and its log, as from any process).
struct AttachOptions {
  int in = 0, out = 1, err = 2;
  int from = -1, from_err = -1;
  std::string detach_keys;  // one after the other end it; "": none do
};
struct ProcessInfo {
  std::string id, instance;
  int pid = 0;       // 0: not started, or ended
  std::string json;  // the OCI process object; "" for the first process
};

struct RunOptions {
  std::string input;  // "" with has_input false: stdin is /dev/null
  bool has_input = false;
  // Where a stream goes: captured; thrown away; merged into stdout (err only); or copied to this
  // descriptor of the caller by the thread in run(). Or handed, as it comes, to `write` by the
  // thread in run() (kCall).
  enum class Sink { kCapture, kDevnull, kStdout, kFd, kCall };
  Sink out = Sink::kCapture, err = Sink::kCapture;
  int out_fd = -1, err_fd = -1;
  std::function<void(int stream, std::string_view data)>
      write;  // kCall; stream 1 or 2; what it throws ends the run, as an interruption does
  std::optional<int64_t> timeout_ns;  // of the task: the shim kills it then
  std::optional<int64_t> max_output;  // bytes of each stream kept
};
struct RunResult {
  std::vector<std::string> args;  // as the spec has them
  ExitStatus exit;
  std::string out, err;
  bool truncated = false;
  std::string container_id, image;
};

struct Check {
  std::string
      name;  // "kernel", "root", "overlay", "crun", "runc", "cgroup", "shim", "default runtime" ...
  bool ok = false;
  bool needed = true;  // false: something works without it
  std::string found, hint;
};

struct LogLine {
  uint64_t seq = 0;  // rises, from above 0 (since 0 is everything): (record + 1) << 17 | offset of
                     // the line in it
  int64_t time_ns = 0;
  int stream = 1;        // 1 stdout, 2 stderr
  std::string data;      // without its newline, at most 64 KiB (partial)
  bool partial = false;  // no newline followed: cut at 64 KiB or at the end
};
struct LogOptions {
  bool out = true, err = true, follow = false;
  std::optional<uint64_t> tail;       // the last n lines
  std::optional<uint64_t> since_seq;  // what comes after it
  std::optional<int64_t> since_ns;
};

struct EventInfo {
  uint64_t seq = 0;  // where the journal goes on behind it
  int64_t time_ns = 0;
  std::string ns, topic;
  api::EventFields fields;  // empty for a message that this ctrd does not know
};
struct EventOptions {
  std::vector<std::string> filters;   // see events_filter.h
  std::optional<uint64_t> since_seq;  // what comes after it; else since_ns; else from now on when
  std::optional<int64_t> since_ns;    // following, all that is kept otherwise
  bool follow = true;
};

}  // namespace ctrd::engine
