// SPDX-License-Identifier: Apache-2.0
#include "oci/runtime_errors.h"

#include <algorithm>
#include <cctype>
#include <iterator>
#include <optional>

#include "base/text.h"
#include "oci/json.h"

namespace ctrd::oci {
namespace {

constexpr std::size_t kMaxTail = 768;
constexpr int kMaxBadRecords = 100;

// `when` and `also` are both in the lower-cased text ("" always is). `quote` begins the name that
// the message quotes.
struct Row {
  std::optional<Verb> verb;
  std::string_view when, also;
  Code code;
  Kind kind;
  std::string_view says;  // "" : the runtime's words are enough
  std::string_view field = "";
  char quote = 0;  // '`' or '"': the first name in such quotes is the path
};

constexpr std::string_view kNoProgram = "program not found";
constexpr std::string_view kNoExec = "program is not executable";
constexpr std::string_view kBadCwd = "the working directory is not a directory";
constexpr std::string_view kFinished = "process already finished";
constexpr std::string_view kUnknown = "the runtime does not know this container";
constexpr std::string_view kStopped = "the container is not running";
constexpr std::string_view kMoreInUse = "the container uses more memory than that";
constexpr std::string_view kNoWeight = "this kernel has no weights of block devices";
constexpr std::string_view kLowMemory = "the memory limit is too low";

// Texts of runc 1.1, crun 1.8 and crun 1.28. The first row that fits is taken.
// clang-format off
constexpr Row kRows[] = {
    // the program
    {Verb::kCreate, "executable file `", "not found", Code::kNotFound, Kind::kPath, kNoProgram, "args", '`'},
    {Verb::kCreate, "exec: \"", "executable file not found", Code::kNotFound, Kind::kPath, kNoProgram, "args", '"'},
    {Verb::kCreate, "exec: \"", "no such file or directory", Code::kNotFound, Kind::kPath, kNoProgram, "args", '"'},
    {Verb::kCreate, "exec: \"", "not a directory", Code::kNotFound, Kind::kPath, kNoProgram, "args", '"'},
    {Verb::kCreate, "exec: \"", "permission denied", Code::kPermissionDenied, Kind::kNone, kNoExec, "args", '"'},
    {Verb::kCreate, "exec: \"", "is a directory", Code::kPermissionDenied, Kind::kNone, kNoExec, "args", '"'},
    {Verb::kCreate, "open executable: no such file", "", Code::kNotFound, Kind::kPath, kNoProgram, "args"},
    {Verb::kCreate, "open executable: not a directory", "", Code::kNotFound, Kind::kPath, kNoProgram, "args"},
    {Verb::kCreate, "open executable: permission denied", "", Code::kPermissionDenied, Kind::kNone, kNoExec, "args"},
    {Verb::kCreate, "open executable: operation not permitted", "", Code::kPermissionDenied, Kind::kNone, kNoExec, "args"},
    {Verb::kExec, "executable file `", "not found", Code::kNotFound, Kind::kPath, kNoProgram, "args", '`'},
    {Verb::kExec, "exec: \"", "executable file not found", Code::kNotFound, Kind::kPath, kNoProgram, "args", '"'},
    {Verb::kExec, "exec: \"", "no such file or directory", Code::kNotFound, Kind::kPath, kNoProgram, "args", '"'},
    {Verb::kExec, "exec: \"", "permission denied", Code::kPermissionDenied, Kind::kNone, kNoExec, "args", '"'},
    {Verb::kExec, "open executable: permission denied", "", Code::kPermissionDenied, Kind::kNone, kNoExec, "args"},
    {std::nullopt, "exec format error", "", Code::kInvalidArgument, Kind::kNone, "program has a wrong format", "args"},
    {std::nullopt, "argument list too long", "", Code::kResourceExhausted, Kind::kNone, "args and env are too big", "env"},
    // limits
    {std::nullopt, "memory limit", "too low", Code::kFailedPrecondition, Kind::kNone, kLowMemory, "memory"},
    {std::nullopt, "unable to set memory limit to", "", Code::kFailedPrecondition, Kind::kNone, kLowMemory, "memory"},
    {Verb::kUpdate, "memory.limit_in_bytes", "busy", Code::kFailedPrecondition, Kind::kNone, kMoreInUse, "memory"},
    {Verb::kUpdate, "memory.memsw.limit_in_bytes", "busy", Code::kFailedPrecondition, Kind::kNone, kMoreInUse, "swap"},
    {Verb::kUpdate, "cpuset.cpus", "busy", Code::kFailedPrecondition, Kind::kNone, "an exec of the container uses these CPUs", "cpuset_cpus"},
    {std::nullopt, "io.weight", "no such file", Code::kUnimplemented, Kind::kNone, kNoWeight, "io"},
    {std::nullopt, "blkio.weight", "no such file", Code::kUnimplemented, Kind::kNone, kNoWeight, "io"},
    {std::nullopt, "blkio.throttle", "no such device", Code::kInvalidArgument, Kind::kNone, "no such block device", "io"},
    {std::nullopt, "io.max", "no such device", Code::kInvalidArgument, Kind::kNone, "no such block device", "io"},
    {std::nullopt, "cpuset.cpus", "out of range", Code::kInvalidArgument, Kind::kNone, "", "cpuset_cpus"},
    {std::nullopt, "cpuset.cpus", "invalid argument", Code::kInvalidArgument, Kind::kNone, "", "cpuset_cpus"},
    {std::nullopt, "cpuset.cpus", "permission denied", Code::kInvalidArgument, Kind::kNone, "", "cpuset_cpus"},
    {std::nullopt, "cpuset.mems", "out of range", Code::kInvalidArgument, Kind::kNone, "", "cpuset_mems"},
    {std::nullopt, "cpuset.mems", "invalid argument", Code::kInvalidArgument, Kind::kNone, "", "cpuset_mems"},
    {std::nullopt, "setrlimit `", "not permitted", Code::kPermissionDenied, Kind::kNone, "", "rlimits"},
    {std::nullopt, "error setting rlimit", "not permitted", Code::kPermissionDenied, Kind::kNone, "", "rlimits"},
    // mounts, then the working directory: runc names both with mkdir
    {Verb::kCreate, "error mounting \"", "stat ", Code::kNotFound, Kind::kPath, "mount source not found", "mounts", '"'},
    {Verb::kCreate, "error stat'ing file `", "no such file", Code::kNotFound, Kind::kPath, "mount source not found", "mounts", '`'},
    {Verb::kCreate, "error mounting \"", "no such device", Code::kInvalidArgument, Kind::kNone, "no such file system type", "mounts"},
    {Verb::kCreate, "error mounting \"", "invalid argument", Code::kInvalidArgument, Kind::kNone, "the kernel refuses a mount", "mounts"},
    {Verb::kCreate, "error mounting \"", "not a directory", Code::kInvalidArgument, Kind::kNone, "a mount's destination is not a directory", "mounts"},
    {Verb::kCreate, "mount `", "no such device", Code::kInvalidArgument, Kind::kNone, "no such file system type", "mounts"},
    {Verb::kCreate, "mount `", "invalid argument", Code::kInvalidArgument, Kind::kNone, "the kernel refuses a mount", "mounts"},
    {Verb::kCreate, "mkdir `", "not a directory", Code::kInvalidArgument, Kind::kNone, "a mount's destination is not a directory", "mounts"},
    {Verb::kCreate, "chdir `", "not a directory", Code::kInvalidArgument, Kind::kNone, kBadCwd, "cwd", '`'},
    {Verb::kCreate, "container init: mkdir ", "not a directory", Code::kInvalidArgument, Kind::kNone, kBadCwd, "cwd"},
    {Verb::kCreate, "chdir to cwd", "not a directory", Code::kInvalidArgument, Kind::kNone, kBadCwd, "cwd"},
    // the spec
    {Verb::kCreate, "seccomp action", "", Code::kInvalidArgument, Kind::kNone, "", "seccomp"},
    {Verb::kCreate, "errno value specified for action", "", Code::kInvalidArgument, Kind::kNone, "", "seccomp"},
    {Verb::kCreate, "valid action for seccomp", "", Code::kInvalidArgument, Kind::kNone, "", "seccomp"},
    {Verb::kCreate, "the sysctl `", "is not namespaced", Code::kInvalidArgument, Kind::kNone, "", "sysctls"},
    {Verb::kCreate, "sysctl \"", "separate kernel namespace", Code::kInvalidArgument, Kind::kNone, "", "sysctls"},
    {Verb::kCreate, "cgroups in hybrid mode not supported", "", Code::kUnimplemented, Kind::kNone,
     "this runtime refuses hybrid cgroups: use another or mount all controllers as v1"},
    // what is there, what has gone
    {Verb::kCreate, "already exists", "container ", Code::kAlreadyExists, Kind::kNone, "this id is taken"},
    {std::nullopt, "container does not exist", "", Code::kNotFound, Kind::kTask, kUnknown},
    {std::nullopt, "container `", "does not exist", Code::kNotFound, Kind::kTask, kUnknown},
    {std::nullopt, "/status`: no such file or directory", "", Code::kNotFound, Kind::kTask, kUnknown},
    {Verb::kDelete, "cannot open directory", "no such file or directory", Code::kNotFound, Kind::kTask, kUnknown},
    {Verb::kKill, "no such process", "", Code::kNotFound, Kind::kProcess, kFinished},
    {Verb::kKill, "process already finished", "", Code::kNotFound, Kind::kProcess, kFinished},
    {Verb::kKill, "not running", "", Code::kNotFound, Kind::kProcess, kFinished},
    {Verb::kKill, "invalid argument", "", Code::kInvalidArgument, Kind::kNone, "no such signal", "signal"},
    {Verb::kKill, "unknown signal", "", Code::kInvalidArgument, Kind::kNone, "no such signal", "signal"},
    {Verb::kStart, "exec.fifo`: no such file or directory", "", Code::kFailedPrecondition, Kind::kTask, "the container was started before"},
    {Verb::kStart, "already running container", "", Code::kFailedPrecondition, Kind::kTask, "the container was started before"},
    {Verb::kStart, "container that has stopped", "", Code::kFailedPrecondition, Kind::kProcess, kStopped},
    {Verb::kDelete, "that is not stopped", "", Code::kFailedPrecondition, Kind::kTask, "the container still runs"},
    {Verb::kDelete, "is not in `created` or `stopped` state", "", Code::kFailedPrecondition, Kind::kTask, "the container still runs"},
    {Verb::kExec, "in a stopped container", "", Code::kFailedPrecondition, Kind::kProcess, kStopped},
    {Verb::kExec, "in a paused container", "", Code::kFailedPrecondition, Kind::kTask, "the container is paused"},
    {Verb::kExec, "is paused", "", Code::kFailedPrecondition, Kind::kTask, "the container is paused"},
    {std::nullopt, "container not paused", "", Code::kFailedPrecondition, Kind::kTask, "the container is not paused"},
    {std::nullopt, "container not running", "", Code::kFailedPrecondition, Kind::kProcess, kStopped},
    {std::nullopt, "container `", "is not running", Code::kFailedPrecondition, Kind::kProcess, kStopped},
    // a shim of containerd: "cannot delete a running process", "cannot exec in a paused state"
    {std::nullopt, "cannot ", " a created process", Code::kFailedPrecondition, Kind::kTask, ""},
    {std::nullopt, "cannot ", " a running process", Code::kFailedPrecondition, Kind::kTask, ""},
    {std::nullopt, "cannot ", " a paused process", Code::kFailedPrecondition, Kind::kTask, ""},
    {std::nullopt, "cannot ", " a stopped process", Code::kFailedPrecondition, Kind::kTask, ""},
    {std::nullopt, "cannot ", " a paused container", Code::kFailedPrecondition, Kind::kTask, ""},
    {std::nullopt, "cannot ", " a stopped container", Code::kFailedPrecondition, Kind::kTask, ""},
    {std::nullopt, "cannot ", " task in created state", Code::kFailedPrecondition, Kind::kTask, ""},
    {std::nullopt, "cannot ", " in a paused state", Code::kFailedPrecondition, Kind::kTask, ""},
    {std::nullopt, "cannot ", " in a stopped state", Code::kFailedPrecondition, Kind::kTask, ""},
    {std::nullopt, "cannot ", " in a deleted state", Code::kFailedPrecondition, Kind::kTask, ""},
    // the machine
    {std::nullopt, "no space left on device", "", Code::kResourceExhausted, Kind::kNone, ""},
    {std::nullopt, "too many open files", "", Code::kResourceExhausted, Kind::kNone, ""},
    {std::nullopt, "resource temporarily unavailable", "", Code::kResourceExhausted, Kind::kNone, ""},
    {std::nullopt, "cannot allocate memory", "", Code::kResourceExhausted, Kind::kNone, ""},
};
// clang-format on

std::string lower(std::string_view text) {
  std::string out;
  std::transform(text.begin(), text.end(), std::back_inserter(out),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

const Row* find_row(Verb verb, std::string_view words) {
  std::string text = lower(words);
  auto fits = [&](const Row& row) {
    return (!row.verb || *row.verb == verb) && text.find(row.when) != std::string::npos &&
           text.find(row.also) != std::string::npos;
  };
  const Row* row = std::find_if(std::begin(kRows), std::end(kRows), fits);
  return row == std::end(kRows) ? nullptr : row;
}

std::string quoted_name(std::string_view words, const Row& row) {
  auto at = lower(words).find(row.when);
  auto from = row.quote ? words.find(row.quote, at) : std::string_view::npos;
  if (from == std::string_view::npos) return "";
  auto to = words.find(row.quote, from + 1);
  return std::string(words.substr(from + 1, to - from - 1));
}

std::string_view tail(std::string_view text) {
  return text.size() > kMaxTail ? text.substr(text.size() - kMaxTail) : text;
}

std::string words_of(const Outcome& outcome) {
  std::string words = last_log_message(outcome.log);
  if (words.empty()) words = tail(trimmed(outcome.err));
  if (words.empty()) words = tail(trimmed(outcome.log));  // not JSON: better than nothing
  return std::string(trimmed(words));
}

Error with_context(Error error, const Command& command, const Outcome& outcome,
                   std::string_view words) {
  return std::move(error)
      .with("runtime", command.argv.front())
      .with("verb", std::string(verb_name(command.verb)))
      .with("exit_code", std::to_string(outcome.status))
      .with("log_tail", escaped(tail(words), kMaxTail));
}

Error unknown_error(const std::string& who, const Outcome& outcome, const std::string& words) {
  std::string said = words.empty() ? "it said nothing" : words;
  return Error(Code::kInternal,
               who + " failed with exit status " + std::to_string(outcome.status) + ": " + said,
               Kind::kRuntime);
}

Error known_error(const Row& row, const std::string& who, const std::string& words) {
  std::string path = quoted_name(words, row);
  std::string message(row.says);
  if (!path.empty()) message += (message.empty() ? "\"" : ": \"") + path + "\"";
  message += message.empty() ? who + ": " + words : " (" + who + ": " + words + ")";
  Error error(row.code, std::move(message), row.kind);
  if (!row.field.empty()) error.with("field", std::string(row.field));
  if (!path.empty()) error.with("path", path).with("value", path);
  return error;
}

// End of the JSON object that begins at `from`; npos if it is cut off.
std::size_t object_end(std::string_view text, std::size_t from) {
  int depth = 0;
  bool quoted = false;
  for (std::size_t i = from; i < text.size(); ++i) {
    char c = text[i];
    if (quoted && c == '\\') {
      ++i;
    } else if (c == '"') {
      quoted = !quoted;
    } else if (!quoted && c == '{') {
      ++depth;
    } else if (!quoted && c == '}' && --depth == 0) {
      return i + 1;
    }
  }
  return std::string_view::npos;
}

struct Record {
  std::string level, message;
};

std::optional<Record> read_record(std::string_view text) {
  Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  auto level = json.find("level"), message = json.find("msg");
  if (message == json.end() || !message->is_string()) return std::nullopt;
  bool named = level != json.end() && level->is_string();
  return Record{named ? level->get<std::string>() : "error", message->get<std::string>()};
}

}  // namespace

std::string last_log_message(std::string_view log) {
  std::string last;
  std::size_t at = 0;
  int bad = 0;
  while (bad < kMaxBadRecords && (at = log.find('{', at)) != std::string_view::npos) {
    std::size_t end = object_end(log, at);
    auto record =
        end == std::string_view::npos ? std::nullopt : read_record(log.substr(at, end - at));
    if (!record) {  // no record, or its end or the log's start was cut off: records begin lines
      ++bad;
      at = std::min(log.find("\n{", at), log.size());
      continue;
    }
    if (record->level == "error" || record->level == "fatal") last = record->message;
    at = end;
  }
  return last;
}

Error runtime_error(const Command& command, const Outcome& outcome) {
  std::string words = words_of(outcome);
  const std::string& binary = command.argv.front();
  std::string who =
      binary.substr(binary.rfind('/') + 1) + " " + std::string(verb_name(command.verb));
  const Row* row = find_row(command.verb, words);
  Error error = row ? known_error(*row, who, words) : unknown_error(who, outcome, words);
  return with_context(std::move(error), command, outcome, words);
}

Error shim_error(Verb verb, const std::string& shim, const std::string& words) {
  return runtime_error({verb, {shim}, {}, {}, {}}, {.status = 1, .log = {}, .err = words});
}

bool says_gone(const Error& error) {
  bool known = error.code() == Code::kNotFound || error.code() == Code::kFailedPrecondition;
  bool ended = error.kind() == Kind::kProcess;
  bool missing = error.code() == Code::kNotFound && error.kind() == Kind::kTask;
  return missing || (known && ended);
}

}  // namespace ctrd::oci
