// SPDX-License-Identifier: Apache-2.0
// A runtime verb is a pure pair: command(...) says what to execute, check(...) turns what came back
// into success or an Error. Two runners execute it: the shim's coroutine and base's run_command. So
// a native runtime can stand beside crun and runc later. Not for running anything. Source:
// shim-protocol.md 7.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace ctrd::oci {

enum class Verb {
  kCreate,
  kStart,
  kState,
  kKill,
  kDelete,
  kPause,
  kResume,
  kExec,
  kUpdate,
  kCheckpoint,
  kRestore,
  kVersion
};
std::string_view verb_name(Verb verb);  // "create" ...
Nanos verb_deadline(
    Verb verb);  // design.md 8: create, start, exec 30 s; checkpoint, restore 600 s; else 10 s

// The other limits of design.md 8; a test checks them from the inside out.
inline constexpr Nanos kDrainLimit = std::chrono::seconds(2);
inline constexpr Nanos kRpcLimit = std::chrono::seconds(60);

struct Runtime {
  std::string binary;  // absolute path
  std::string root;    // --root: <bundle>/rt
  std::string log;     // --log: <bundle>/log.json
  bool systemd_cgroup = false;
};
struct CreateFlags {
  bool no_pivot = false, no_new_keyring = false;
};
struct Command {
  Verb verb;
  std::vector<std::string> argv;
  std::string input;  // for its stdin; "" is /dev/null
  Nanos deadline;
  std::string log = {};               // what the runtime writes its words to: its --log
  std::vector<std::string> env = {};  // beside PATH
};
// `--` or the runtime's way to end options always stands before an id.
Command create_command(const Runtime& runtime, const std::string& id, const std::string& bundle,
                       const std::string& pid_file, const std::string& console_socket = {},
                       CreateFlags flags = {});
Command start_command(const Runtime& runtime, const std::string& id);
Command state_command(const Runtime& runtime, const std::string& id);
Command kill_command(const Runtime& runtime, const std::string& id, int signal, bool all);
Command delete_command(const Runtime& runtime, const std::string& id, bool force);
Command pause_command(const Runtime& runtime, const std::string& id);
Command resume_command(const Runtime& runtime, const std::string& id);
// resources: JSON of the runtime spec's linux.resources, for its stdin.
Command update_command(const Runtime& runtime, const std::string& id, std::string resources);
// Detached: it ends once the process runs.
struct ExecFiles {
  std::string process;              // the process as JSON
  std::string pid_file;             // is written
  std::string console_socket = {};  // where it sends the terminal; "": there is none
  std::string cgroup = {};  // below the container's, in every hierarchy; "": the container's
};
Command exec_command(const Runtime& runtime, const std::string& id, const ExecFiles& files);
// What CRIU is told to put up with. empty_namespaces: runc only.
struct CheckpointFlags {
  bool tcp = false, unix_sockets = false, terminal = false, file_locks = false;
  std::vector<std::string> empty_namespaces = {};
};
// images: where the images are, or go to; work: CRIU's log and passing files. Both exist.
struct CheckpointDirs {
  std::string images, work;
};
Command checkpoint_command(const Runtime& runtime, const std::string& id,
                           const CheckpointDirs& dirs, const CheckpointFlags& flags, bool exit);
// As create and start in one; detached.
struct RestoreFiles {
  std::string bundle;
  std::string pid_file;             // is written
  std::string console_socket = {};  // as ExecFiles'
};
Command restore_command(const Runtime& runtime, const std::string& id, const CheckpointDirs& dirs,
                        const CheckpointFlags& flags, const RestoreFiles& files,
                        bool no_pivot = false);
Command version_command(const std::string& binary);

struct Outcome {
  int status = 0;          // exit code, or 128 + signal
  bool timed_out = false;  // killed at its deadline
  std::string log = {};    // content of --log (at most the last 64 KiB)
  std::string err = {};    // stderr, where it was captured
  int launch_errno = 0;    // the runtime itself could not be started
};
// Returns on success; throws what runtime_errors makes of it. delete of what is already gone is
// success. Timed out: kDeadlineExceeded with context runtime, verb. launch_errno:
// kNotFound/kPermissionDenied (Kind::kRuntime) with the quoted binary.
void check(const Command& command, const Outcome& outcome);

}  // namespace ctrd::oci
