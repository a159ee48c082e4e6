// SPDX-License-Identifier: Apache-2.0
#include "engine/checkpoint_report.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "base/error.h"
#include "base/open_files.h"
#include "base/process.h"
#include "base/socket_table.h"
#include "engine/doctor_criu.h"
#include "engine/dump.h"
#include "engine/verbs.h"

namespace ctrd::engine {
namespace {

// Seen: 3.17 cannot, 4.1 can.
constexpr std::pair<int, int> kCriuTakesHostTerminals{4, 1};
constexpr unsigned kPtsMajor = 136, kConsoleMajor = 5, kVtMajor = 4;

bool is_terminal(const OpenFile& file) {
  unsigned major = gnu_dev_major(file.device);
  return S_ISCHR(file.mode) && (major == kPtsMajor || major == kVtMajor ||
                                (major == kConsoleMajor && gnu_dev_minor(file.device) < 2));
}

// Only paths of files; what the kernel names itself ("pipe:[17]", "/memfd:x") is nobody's file.
bool is_path(const OpenFile& file) {
  return file.link.starts_with('/') && !file.link.starts_with("/memfd:") &&
         !file.link.starts_with("/SYSV") && !file.link.starts_with("/anon_hugepage") &&
         !S_ISCHR(file.mode);
}

std::string at(const OpenFile& file) {
  return escaped(file.link, 200) + " (descriptor " + std::to_string(file.fd) + ")";
}

std::string namespace_of(pid_t pid, const char* name) {
  std::string path = "/proc/" + std::to_string(pid) + "/ns/" + name;
  char link[64];
  ssize_t n = ::readlink(path.c_str(), link, sizeof(link));
  return n < 0 ? "" : std::string(link, static_cast<std::size_t>(n));
}

class Report {
 public:
  Report(const CheckpointOptions& options, const Task& task, std::vector<TaskProcess> processes,
         std::pair<int, int> version)
      : options_(options),
        init_(live_pid(task)),
        processes_(std::move(processes)),
        version_(version) {}

  std::vector<CheckpointProblem> take(const std::string& runtime, const Wait& wait) {
    look_at_host(runtime, wait);
    for (const TaskProcess& process : processes_)
      files_[process.facts.pid] = open_files(process.facts.pid);
    look_at_tree();
    look_at_files();
    look_at_sockets();
    std::vector<CheckpointProblem> all;
    for (const auto& [kind, pid, what, option] : found_)
      all.push_back({kind, pid, what, option, kind != "exec"});
    return all;
  }

 private:
  void add(const char* kind, int pid, std::string what, const char* option = "") {
    found_.emplace(kind, pid, std::move(what), option);
  }

  void look_at_host(const std::string& runtime, const Wait& wait) {
    Check criu = criu_check(wait);
    if (!criu.ok) add("host", 0, "CRIU: " + criu.found + "; " + criu.hint);
    bool locks = options_.tcp == "keep" || version_ < kCriuSkipsNetworkLock;
    if (locks && criu.ok && !has_iptables() &&
        namespace_of(init_, "net") != namespace_of(::getpid(), "net"))
      add("host", 0, "the network cannot be locked: install iptables");
    if (!makes_checkpoints(runtime, wait))
      add("host", 0, escaped(runtime) + " is built without CRIU: use runc");
    if (!options_.empty_namespaces.empty() && !empties_namespaces(runtime, wait))
      add("host", 0, escaped(runtime) + " cannot empty a namespace: use runc");
  }

  bool is_below_init(int pid) const {
    std::map<int, int> parents;
    for (const TaskProcess& one : processes_) parents[one.facts.pid] = one.facts.ppid;
    for (std::size_t steps = 0; steps <= parents.size(); ++steps) {
      if (pid == init_) return true;
      auto above = parents.find(pid);
      if (above == parents.end()) return false;
      pid = above->second;
    }
    return false;
  }

  void look_at_tree() {
    for (const auto& [facts, exec] : processes_) {
      if (!is_below_init(facts.pid))
        add("exec", facts.pid,
            (exec.empty() ? "it was started from outside" : "it is the exec \"" + exec + '"') +
                ", and is left out");
      for (const char* name : {"pid", "user"})
        if (auto own = namespace_of(facts.pid, name);
            !own.empty() && own != namespace_of(init_, name))
          add("namespace", facts.pid, std::string("it has a ") + name + " namespace of its own");
      if (auto tracer = tracer_of(facts.pid))
        add("traced", facts.pid, "process " + std::to_string(*tracer) + " traces it");
    }
  }

  // A file is the host's if it lies on a mount that the process does not have.
  void look_at_files() {
    for (const auto& [pid, files] : files_) {
      std::set<uint64_t> mounts = mount_ids(pid);
      for (const OpenFile& file : files) {
        bool is_foreign = !mounts.empty() && !mounts.contains(file.mount_id);
        if (is_foreign && is_path(file))
          add("host_file", pid, "it has a file of the host open: " + at(file));
        if (is_foreign && is_terminal(file)) add_terminal(pid, file);
        if (file.is_locked && !options_.file_locks)
          add("file_lock", pid, "it has locked " + at(file), "file_locks=True");
      }
    }
  }

  void add_terminal(int pid, const OpenFile& file) {
    std::string what = "it has a terminal of the host: " + at(file);
    if (version_ < kCriuTakesHostTerminals)
      add("terminal", pid, what + ", which this CRIU cannot dump");
    else if (!options_.terminal)
      add("terminal", pid, std::move(what), "terminal=True");
  }

  void look_at_sockets() {
    std::set<uint64_t> own;
    for (const auto& [pid, files] : files_)
      for (const OpenFile& file : files)
        if (S_ISSOCK(file.mode)) own.insert(file.inode);
    if (own.empty()) return;
    auto locals = unix_sockets(init_);
    auto inet = inet_sockets(init_);
    bool refuses = refuses_network_sockets(version_);
    for (const auto& [pid, files] : files_)
      for (const OpenFile& file : files) {
        auto local = locals.find(file.inode);
        if (local != locals.end() && local->second.peer != 0 && !own.contains(local->second.peer))
          add_unix(pid, file, !local->second.is_stream && locals.contains(local->second.peer));
        if (auto found = inet.find(file.inode); found != inet.end())
          add_inet(pid, file, found->second, refuses);
      }
  }

  // Somebody to send to, in the same network namespace, can be let go; the half of a connection
  // cannot.
  void add_unix(int pid, const OpenFile& file, bool can_go) {
    if (can_go && options_.unix_sockets) return;
    add("unix_socket", pid,
        "it is connected to a unix socket outside (descriptor " + std::to_string(file.fd) + ")",
        can_go ? "unix_sockets=True" : "");
  }

  void add_inet(int pid, const OpenFile& file, InetState state, bool refuses) {
    std::string which = " (descriptor " + std::to_string(file.fd) + ")";
    if (state == InetState::kConnected && options_.tcp == "refuse")
      add("tcp_connection", pid, "it has an established TCP connection" + which, "tcp=\"close\"");
    if (refuses)
      add("network_socket", pid,
          "it has a network socket" + which + ", which this CRIU cannot dump on this kernel");
  }

  const CheckpointOptions& options_;
  const int init_;
  const std::vector<TaskProcess> processes_;
  const std::pair<int, int> version_;  // CRIU's
  std::map<int, std::vector<OpenFile>> files_;
  std::set<std::tuple<std::string, int, std::string, std::string>> found_;
};

}  // namespace

std::vector<CheckpointProblem> checkpoint_problems(Engine& engine, const TaskRef& ref,
                                                   const CheckpointOptions& options,
                                                   const Wait& wait) {
  Core& core = core_of(engine, wait);
  check_checkpoint(core, ref.ns, options, wait);
  Task task = get_task_to_dump(core, ref, wait);
  if (task_status(task) == TaskStatus::kCreated)
    throw failed_precondition("container \"" + ref.id + "\": its task has not been started",
                              Kind::kTask);
  metadata::Container record = core.containers.get(ref.ns, ref.id, wait);
  TaskRef same{ref.ns, ref.id, task.status.instance};
  Report report(options, task, task_processes(core, same, wait), criu_version(core, wait));
  return report.take(record.runtime_binary, wait);
}

}  // namespace ctrd::engine
