// SPDX-License-Identifier: Apache-2.0
#include "oci/criu_log.h"

namespace ctrd::oci {
namespace {

constexpr std::string_view kMark = "Error (";
constexpr std::string_view kHarmless = "rlimit: Can't setup RLIMIT_NOFILE";

// `when` is in CRIU's line, or in what the runtime says.
struct Row {
  std::string_view when;
  Code code;
  std::string_view says, hint;
};
constexpr Code kTask = Code::kFailedPrecondition, kHost = Code::kUnimplemented;

// clang-format off
constexpr Row kRows[] = {
    {"Connected TCP socket", kTask, "it has an established TCP connection", "tcp=\"keep\" takes it along, tcp=\"close\" closes it in the copy"},
    {"--tcp-established", kTask, "it has an established TCP connection", "tcp=\"keep\" takes it along, tcp=\"close\" closes it in the copy"},
    {"External socket is used", kTask, "it is connected to a unix socket outside", "unix_sockets=True lets it go"},
    {"--ext-unix-sk", kTask, "it is connected to a unix socket outside", "unix_sockets=True lets it go"},
    {"dump half of stream unix", kTask, "it is connected to a unix socket outside", "close the connection first: unix_sockets=True lets only datagram sockets go"},
    {"without peer", kTask, "it is connected to a unix socket outside", "close it first, or use network=\"host\" with unix_sockets=True"},
    {"--shell-job", kTask, "it has a terminal", "terminal=True"},
    {"dangling tty", kTask, "it has a terminal of somebody outside", "terminal=True"},
    {"--file-locks", kTask, "it holds file locks", "file_locks=True"},
    {"file locks are hold", kTask, "it holds file locks", "file_locks=True"},
    {"external process or thread", kTask, "a process of it was started from outside", "end its execs first"},
    {"Can't dump nested", kTask, "a process of it has a namespace of its own", ""},
    {"while seizing", kTask, "a process of it is traced, or a zombie", "end its debugger first"},
    {"Unseizable", kTask, "a process of it is traced", "end its debugger first"},
    {"lookup mount", kTask, "it has a file of the host open", "close it, or start the process without it"},
    {"is already mapped", kTask, "it cannot be put back", ""},
    {"Can't get 1:16 opt", kHost, "this CRIU cannot dump network sockets on this kernel (6.16 and newer)", "install a newer CRIU"},
    {"iptables", kHost, "the network cannot be locked", "install iptables"},
    {"Locking network failed", kHost, "the network cannot be locked", "install iptables"},
    {"network lock", kHost, "the network cannot be locked", "install iptables"},
    {"vdso", kHost, "CRIU is too old for this kernel", "install a newer CRIU"},
    {"vDSO", kHost, "CRIU is too old for this kernel", "install a newer CRIU"},
    {"not supported by the kernel", kHost, "this kernel lacks what CRIU needs", "ctrd doctor tells"},
    {"executable file not found", kHost, "there is no CRIU on PATH", "install criu"},
    {"criu: no such file", kHost, "there is no CRIU on PATH", "install criu"},
    {"libcriu", kHost, "the runtime cannot load CRIU's library", "install libcriu2"},
    {"CRIU version", kHost, "CRIU is too old for this runtime", "install a newer CRIU"},
    {"unknown command", kHost, "the runtime is built without CRIU", "use runc, or a crun with +CRIU in its --version"},
    {"without CRIU", kHost, "the runtime is built without CRIU", "use runc, or a crun with +CRIU in its --version"},
    {"unrecognized option", kHost, "the runtime lacks such an option", "use runc"},
    {"No space left on device", Code::kResourceExhausted, "no room for the images", ""},
    {"has bad size", kTask, "a file is not as it was", "restore with the layer of the checkpoint"},
    {"has bad mode", kTask, "a file is not as it was", "restore with the layer of the checkpoint"},
    {"No such file or directory", kTask, "a file is missing", "restore with the layer of the checkpoint"},
};
// clang-format on

// "(00.1) Error (criu/files.c:1): words" and "Error (...)" alone.
std::string_view words_of(std::string_view line) {
  auto mark = line.find(kMark);
  if (mark == std::string_view::npos) return "";
  auto end = line.find("): ", mark);
  return end == std::string_view::npos ? "" : line.substr(end + 3);
}

const Row* find_row(std::string_view text) {
  for (const Row& row : kRows)
    if (text.find(row.when) != std::string_view::npos) return &row;
  return nullptr;
}

// The words of the first error that `is_wanted` takes; "" if there is none.
template <typename F>
std::string_view find_error(std::string_view log, F is_wanted) {
  for (std::size_t at = 0; at < log.size();) {
    std::size_t end = std::min(log.find('\n', at), log.size());
    std::string_view words = words_of(log.substr(at, end - at));
    bool counts = !words.empty() && words.find(kHarmless) == words.npos;
    if (counts && is_wanted(words)) return words;
    at = end + 1;
  }
  return "";
}

// What CRIU's first error means, else any later one's (it may name what led to it), else what the
// runtime says.
const Row* explain(const Error& said, std::string_view log) {
  auto words = find_error(log, [](std::string_view one) { return find_row(one) != nullptr; });
  return find_row(words.empty() ? std::string_view(said.message()) : words);
}

}  // namespace

std::string first_criu_error(std::string_view log) {
  return std::string(find_error(log, [](std::string_view) { return true; }));
}

Error criu_error(const Error& said, std::string_view log, const std::string& log_path) {
  bool others = said.code() == Code::kDeadlineExceeded || said.code() == Code::kNotFound;
  if (others) return said;
  std::string first = first_criu_error(log);
  const Row* row = explain(said, log);
  std::string why = row == nullptr ? "" : std::string(row->says) + ": ";
  why += first.empty() ? said.message() : "CRIU: " + first;
  if (!log_path.empty()) why += "; log: " + log_path;
  Error error(row == nullptr ? Code::kInternal : row->code, std::move(why),
              row == nullptr ? Kind::kRuntime : Kind::kCheckpoint);
  for (const auto& [key, value] : said.context()) error.with(key, value);
  if (row != nullptr && !row->hint.empty()) error.with("hint", std::string(row->hint));
  if (!log_path.empty()) error.with("log_path", log_path);
  return error;
}

}  // namespace ctrd::oci
