// SPDX-License-Identifier: Apache-2.0
#include "base/process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <string_view>

#include "base/error.h"
#include "base/files.h"
#include "base/pidfd.h"

namespace ctrd {
namespace {

// A file of /proc/<pid>; nullopt when the process is gone.
std::optional<std::string> read_proc(pid_t pid, const char* name) {
  std::string path = "/proc/" + std::to_string(pid) + "/" + name;
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd && (errno == ENOENT || errno == ESRCH)) return std::nullopt;
  if (!fd) throw sys_error("open " + path);
  try {
    return read_file(fd.get());
  } catch (const Error& error) {
    if (error.sys_errno() == ESRCH) return std::nullopt;
    throw;
  }
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    std::size_t end = std::min(text.find(separator), text.size());
    parts.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

uint64_t number(std::string_view text) {
  uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// The fields of stat from "state" on: field n of proc(5) is [n - 3]. The command before it may
// hold spaces and parentheses, so it is skipped from behind.
std::optional<std::vector<std::string>> stat_fields(pid_t pid) {
  if (pid <= 0) return std::nullopt;
  auto text = read_proc(pid, "stat");
  if (!text) return std::nullopt;
  std::size_t end = text->rfind(')');
  if (end == text->npos || end + 2 > text->size()) return std::nullopt;
  auto fields = split(std::string_view(*text).substr(end + 2), ' ');
  if (fields.size() < 22) return std::nullopt;
  return fields;
}

// The first number of a line of status, such as "\nUid:\t"; 0 when the process is gone.
uint64_t status_number(pid_t pid, std::string_view line) {
  auto text = read_proc(pid, "status");
  std::size_t begin = text ? text->find(line) : std::string::npos;
  return begin == std::string::npos ? 0
                                    : number(std::string_view(*text).substr(begin + line.size()));
}

std::string read_boot_id() {
  constexpr char kPath[] = "/proc/sys/kernel/random/boot_id";
  UniqueFd fd(::open(kPath, O_RDONLY | O_CLOEXEC));
  if (!fd) throw sys_error(std::string("open ") + kPath);
  std::string text = read_file(fd.get());
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

}  // namespace

std::optional<uint64_t> start_time(pid_t pid, bool alive_only) {
  auto fields = stat_fields(pid);
  if (!fields) return std::nullopt;
  const std::string& state = fields->front();
  if (alive_only && (state == "Z" || state == "X")) return std::nullopt;
  return number((*fields)[22 - 3]);
}

std::optional<char> process_state(pid_t pid) {
  auto fields = stat_fields(pid);
  return fields ? std::optional(fields->front().front()) : std::nullopt;
}

std::optional<pid_t> tracer_of(pid_t pid) {
  auto tracer = static_cast<pid_t>(status_number(pid, "\nTracerPid:\t"));
  return tracer == 0 ? std::nullopt : std::optional(tracer);
}

const std::string& boot_id() {
  static const std::string id = read_boot_id();
  return id;
}

ProcessKey this_process() {
  pid_t pid = ::getpid();
  auto start = start_time(pid, false);
  if (!start) throw Error(Code::kInternal, "read /proc/self/stat: is /proc mounted?");
  return {pid, *start, boot_id()};
}

bool is_alive(const ProcessKey& key) {
  return key.boot == boot_id() && start_time(key.pid) == key.start;
}

std::optional<UniqueFd> open_pidfd(const ProcessKey& key) {
  if (!is_alive(key)) return std::nullopt;
  UniqueFd fd(raw_pidfd_open(key.pid));
  // EINVAL, ENOENT: the number is now a thread's.
  if (!fd && (errno == ESRCH || errno == EINVAL || errno == ENOENT)) return std::nullopt;
  if (!fd) throw sys_error("open a pidfd of process " + std::to_string(key.pid));
  if (!is_alive(key)) return std::nullopt;
  return fd;
}

bool signal_process(const ProcessKey& key, int signal) {
  auto fd = open_pidfd(key);
  if (!fd) return false;
  if (raw_pidfd_send_signal(fd->get(), signal) == 0) return true;
  if (errno == ESRCH) return false;
  throw sys_error("send signal " + std::to_string(signal) + " to process " +
                  std::to_string(key.pid));
}

std::optional<ProcessFacts> process_facts(pid_t pid) {
  auto fields = stat_fields(pid);
  if (!fields) return std::nullopt;
  auto field = [&](std::size_t n) { return number((*fields)[n - 3]); };
  auto args = read_proc(pid, "cmdline");
  if (!args) return std::nullopt;
  ProcessFacts facts;
  facts.pid = pid;
  facts.ppid = static_cast<pid_t>(field(4));
  facts.args = split(*args, '\0');
  facts.uid = static_cast<uint32_t>(status_number(pid, "\nUid:\t"));
  facts.rss_bytes = fields->size() > 21 ? static_cast<int64_t>(field(24)) * ::getpagesize() : 0;
  facts.cpu_seconds =
      static_cast<double>(field(14) + field(15)) / static_cast<double>(::sysconf(_SC_CLK_TCK));
  return facts;
}

std::string random_hex(std::size_t bytes) {
  std::string raw(bytes, '\0');
  for (std::size_t done = 0; done < bytes;) {
    ssize_t got = ::getrandom(raw.data() + done, bytes - done, 0);
    if (got < 0 && errno != EINTR) throw sys_error("get random bytes");
    if (got > 0) done += static_cast<std::size_t>(got);
  }
  std::string text;
  for (char c : raw) {
    constexpr char kDigits[] = "0123456789abcdef";
    text += kDigits[static_cast<unsigned char>(c) >> 4];
    text += kDigits[static_cast<unsigned char>(c) & 15];
  }
  return text;
}

}  // namespace ctrd
