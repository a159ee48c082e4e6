// SPDX-License-Identifier: Apache-2.0
#include "base/spawn.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <memory>
#include <string_view>

#include "base/error.h"
#include "base/files.h"
#include "base/pidfd.h"

namespace ctrd {
namespace {

constexpr int kNobodyKnows = 255;

void check(int err, const char* what) {
  if (err != 0) throw sys_error(err, what);
}

// posix_spawn's two argument objects.
struct Actions {
  posix_spawn_file_actions_t value;
  Actions() { check(::posix_spawn_file_actions_init(&value), "prepare a spawn"); }
  Actions(const Actions&) = delete;
  ~Actions() { ::posix_spawn_file_actions_destroy(&value); }
};

struct Attributes {
  posix_spawnattr_t value;
  Attributes() { check(::posix_spawnattr_init(&value), "prepare a spawn"); }
  Attributes(const Attributes&) = delete;
  ~Attributes() { ::posix_spawnattr_destroy(&value); }
};

// Descriptors of the child: number there -> ours. Those of ours with low numbers are duplicated
// above all targets first, so that no dup2 can overwrite the source of another.
class FdPlan {
 public:
  explicit FdPlan(const std::vector<std::pair<int, int>>& fds) {
    for (auto [ours, theirs] : fds) {
      if (theirs < 0 || !plan_.emplace(theirs, ours).second)
        throw invalid("fds", std::to_string(theirs), "must be distinct numbers from 0 on");
    }
    for (int standard : {0, 1, 2})
      if (!plan_.contains(standard)) plan_[standard] = null_device();
    for (auto& [theirs, ours] : plan_)
      if (ours <= highest()) ours = move_up(ours);
  }

  int highest() const { return plan_.rbegin()->first; }

  void add_to(posix_spawn_file_actions_t* actions) const {
    for (int theirs = 0; theirs <= highest(); ++theirs) {
      auto found = plan_.find(theirs);
      check(found == plan_.end()
                ? ::posix_spawn_file_actions_addclose(actions, theirs)
                : ::posix_spawn_file_actions_adddup2(actions, found->second, theirs),
            "prepare a spawn's descriptors");
    }
    check(::posix_spawn_file_actions_addclosefrom_np(actions, highest() + 1),
          "prepare a spawn's descriptors");
  }

 private:
  int null_device() {
    if (!null_) null_.reset(::open("/dev/null", O_RDWR | O_CLOEXEC));
    if (!null_) throw sys_error("open /dev/null");
    return null_.get();
  }

  int move_up(int ours) {
    UniqueFd copy(::fcntl(ours, F_DUPFD_CLOEXEC, highest() + 1));
    if (!copy) throw sys_error("duplicate descriptor " + std::to_string(ours));
    return copies_.emplace_back(std::move(copy)).get();
  }

  std::map<int, int> plan_;
  UniqueFd null_;
  std::vector<UniqueFd> copies_;
};

std::vector<char*> pointers(const std::vector<std::string>& words, std::string_view field) {
  std::vector<char*> result;
  for (const auto& word : words) {
    if (word.find('\0') != word.npos) throw invalid(field, word, "must not contain a NUL byte");
    result.push_back(const_cast<char*>(word.c_str()));
  }
  result.push_back(nullptr);
  return result;
}

void set_attributes(posix_spawnattr_t* attributes, bool new_session) {
  sigset_t none;
  sigset_t all;
  ::sigemptyset(&none);
  ::sigfillset(&all);
  check(::posix_spawnattr_setsigmask(attributes, &none), "prepare a spawn's signals");
  check(::posix_spawnattr_setsigdefault(attributes, &all), "prepare a spawn's signals");
  int flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
  if (new_session) flags |= POSIX_SPAWN_SETSID;
  check(::posix_spawnattr_setflags(attributes, static_cast<short>(flags)), "prepare a spawn");
}

// 0, or why it cannot be executed.
int fault_of(const std::string& path) {
  struct stat facts;
  if (::stat(path.c_str(), &facts) < 0) return errno;
  if (!S_ISREG(facts.st_mode)) return EACCES;
  return ::faccessat(AT_FDCWD, path.c_str(), X_OK, AT_EACCESS) < 0 ? errno : 0;
}

std::string absolute(const std::string& path) {
  if (path.starts_with('/')) return path;
  std::unique_ptr<char, void (*)(void*)> cwd(::getcwd(nullptr, 0), ::free);
  if (!cwd) throw sys_error("look up the current directory");
  return std::string(cwd.get()) + "/" + path;
}

// Where it is, and 0; or the error that tells most about why it is not.
std::pair<std::string, int> look_up(const std::string& name) {
  if (name.find('\0') != name.npos) return {name, ENOENT};
  if (name.find('/') != name.npos) return {absolute(name), fault_of(name)};
  const char* variable = ::getenv("PATH");
  std::string_view path = variable ? variable : "/usr/local/bin:/usr/bin:/bin";
  int fault = ENOENT;
  while (!path.empty() && !name.empty()) {
    std::size_t end = std::min(path.find(':'), path.size());
    std::string dir(path.substr(0, end));
    path.remove_prefix(std::min(end + 1, path.size()));
    std::string candidate = dir.empty() ? "." : dir;
    candidate.append("/").append(name);
    int why = fault_of(candidate);
    if (why == 0) return {absolute(candidate), 0};
    if (why == EACCES) fault = EACCES;
  }
  return {name, fault};
}

std::string program_of(const SpawnSpec& spec) {
  if (spec.argv.empty() || spec.argv[0].empty()) throw invalid("argv", "", "must name a program");
  auto [path, fault] = look_up(spec.argv[0]);
  if (fault != 0) throw sys_error(fault, "start program " + spec.argv[0]);
  return path;
}

// The child is ours and not reaped yet, so its number is its own.
void end_child(pid_t pid) {
  ::kill(pid, SIGKILL);
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
}

Child adopt(pid_t pid) {
  UniqueFd pidfd(raw_pidfd_open(pid));
  // ESRCH: a host that ignores SIGCHLD, or reaps everything, was faster.
  if (!pidfd && errno != ESRCH) {
    int err = errno;
    end_child(pid);
    throw sys_error(err, "open a pidfd of child " + std::to_string(pid));
  }
  return {pid, std::move(pidfd)};
}

}  // namespace

Child spawn(const SpawnSpec& spec) {
  std::string program = program_of(spec);
  std::vector<char*> argv = pointers(spec.argv, "argv");
  std::vector<char*> env = pointers(spec.env, "env");
  Actions actions;
  Attributes attributes;
  set_attributes(&attributes.value, spec.new_session);
  FdPlan plan(spec.fds);
  // Before the dup2s, which may take its number.
  if (spec.cwd_dir >= 0)
    check(::posix_spawn_file_actions_addfchdir_np(&actions.value, spec.cwd_dir),
          "prepare a spawn's directory");
  plan.add_to(&actions.value);
  pid_t pid = -1;
  int err = ::posix_spawn(&pid, program.c_str(), &actions.value, &attributes.value, argv.data(),
                          env.data());
  if (err == ENOEXEC) throw invalid("argv", program, "is no program of a known format");
  if (err != 0) throw sys_error(err, "start program " + program);
  return adopt(pid);
}

std::optional<Exit> reap(const Child& child, const Wait& wait) {
  if (!child.pidfd) return Exit{kNobodyKnows, 0};
  pollfd entry{child.pidfd.get(), POLLIN, 0};
  if (poll_until({&entry, 1}, wait) == 0) return std::nullopt;
  siginfo_t info{};
  while (::waitid(P_PIDFD, static_cast<id_t>(child.pidfd.get()), &info, WEXITED) < 0) {
    if (errno == ECHILD) return Exit{kNobodyKnows, 0};
    if (errno != EINTR) throw sys_error("wait for child " + std::to_string(child.pid));
  }
  if (info.si_code == CLD_EXITED) return Exit{info.si_status, 0};
  return Exit{128 + info.si_status, info.si_status};
}

std::optional<std::string> find_program(const std::string& name) {
  auto [path, fault] = look_up(name);
  if (fault != 0) return std::nullopt;
  return path;
}

}  // namespace ctrd
