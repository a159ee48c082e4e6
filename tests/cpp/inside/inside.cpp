// SPDX-License-Identifier: Apache-2.0
// What a process really gets, told from inside a container: one fact a line, "name value", always
// in the same words, for tests/py/test_defaults.py. A static program that needs nothing of the root
// file system. Source: reliability.md C7.
#include <dirent.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <functional>
#include <iterator>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

extern char** environ;

namespace {

void tell(const std::string& name, const std::string& value) {
  std::printf("%s %s\n", name.c_str(), value.c_str());
}
void tell(const std::string& name, long value) { tell(name, std::to_string(value)); }

const char* error_name() { return ::strerrorname_np(errno); }
// A call's result as a word.
std::string word(long result) { return result < 0 ? error_name() : "ok"; }

std::string contents(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string trimmed(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

std::string joined(std::vector<std::string> words) {
  std::sort(words.begin(), words.end());
  std::string text;
  for (const auto& one : words) text += (text.empty() ? "" : " ") + one;
  return text;
}

std::vector<std::string> names_in(const std::string& path) {
  std::vector<std::string> names;
  DIR* dir = ::opendir(path.c_str());
  if (dir == nullptr) return names;
  while (const dirent* entry = ::readdir(dir)) {
    std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  ::closedir(dir);
  return names;
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, separator);) parts.push_back(part);
  return parts;
}

// Without 32 and 33, glibc's own, which nobody can reset.
std::string own_signals(const std::string& mask) {
  char text[32];
  std::snprintf(text, sizeof text, "%016llx", std::stoull(mask, nullptr, 16) & ~(3ull << 31));
  return text;
}

void tell_status() {
  for (const auto& line : split(contents("/proc/self/status"), '\n')) {
    auto colon = line.find(':');
    std::string name = line.substr(0, colon);
    std::string value = trimmed(line.substr(std::min(colon + 2, line.size())));
    if (name.starts_with("Sig") && name != "SigQ" && name != "SigCgt") {
      tell(name, own_signals(value));
    } else if (name.starts_with("Cap") || name == "NoNewPrivs" || name == "Seccomp" ||
               name == "Umask" || name == "Groups" || name == "Threads" || name == "TracerPid") {
      tell(name, value);
    } else if (name == "Uid" || name == "Gid") {
      tell(name, joined(split(value, '\t')));
    }
  }
}

void tell_process() {
  tell("cwd", trimmed([] {
         char path[4096] = "";
         return std::string(::getcwd(path, sizeof path) == nullptr ? error_name() : path);
       }()));
  tell("oom_score_adj", trimmed(contents("/proc/self/oom_score_adj")));
  tell("nice", ::getpriority(PRIO_PROCESS, 0));
  tell("scheduler", ::sched_getscheduler(0));
  tell("io_priority", ::syscall(SYS_ioprio_get, 1, 0));
  char personality[16];
  std::snprintf(personality, sizeof personality, "%x", ::personality(0xffffffff));
  tell("personality", personality);
  tell("dumpable", ::prctl(PR_GET_DUMPABLE));
  tell("keep_capabilities", ::prctl(PR_GET_KEEPCAPS));
  tell("securebits", ::prctl(PR_GET_SECUREBITS));
  int value = -1;
  ::prctl(PR_GET_PDEATHSIG, &value);
  tell("parent_death_signal", value);
  ::prctl(PR_GET_CHILD_SUBREAPER, &value);
  tell("subreaper", value);
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  tell("rlimit_nofile", std::to_string(files.rlim_cur) + " " + std::to_string(files.rlim_max));
  tell("controlling_terminal", word(::open("/dev/tty", O_RDWR)));
}

void tell_descriptors() {
  std::vector<std::string> open;
  for (int fd = 0; fd < 1024; ++fd)
    if (::fcntl(fd, F_GETFD) >= 0) open.push_back(std::to_string(fd));
  tell("descriptors", joined(open));
  char path[256] = "";
  if (::readlink("/proc/self/fd/0", path, sizeof path - 1) > 0) tell("stdin", path);
  struct stat facts {};
  for (int fd : {1, 2}) {
    ::fstat(fd, &facts);
    tell(fd == 1 ? "stdout" : "stderr", S_ISFIFO(facts.st_mode) ? "pipe" : "something else");
  }
}

void tell_environment() {
  std::vector<std::string> all;
  for (char** entry = environ; *entry != nullptr; ++entry) all.emplace_back(*entry);
  std::sort(all.begin(), all.end());
  for (const auto& entry : all) tell("env", entry);
  char name[256] = "";
  ::gethostname(name, sizeof name - 1);
  tell("hostname", name);
  for (const char* ns : {"cgroup", "ipc", "mnt", "net", "pid", "user", "uts"}) {
    char link[64] = "";
    std::string path = std::string("/proc/self/ns/") + ns;
    if (::readlink(path.c_str(), link, sizeof link - 1) > 0) tell("namespace", link);
  }
}

// Mount point, type, and what restricts it; of tmpfs also size and mode.
void tell_mounts() {
  for (const auto& line : split(contents("/proc/self/mountinfo"), '\n')) {
    auto fields = split(line, ' ');
    auto dash = std::find(fields.begin(), fields.end(), "-");
    if (fields.size() < 6 || fields.end() - dash < 4) continue;
    std::vector<std::string> words;
    for (const auto& word : split(fields[5], ','))
      if (word != "relatime") words.push_back(word);
    for (const auto& word : split(dash[3], ','))
      if (dash[1] == "tmpfs" && (word.starts_with("size=") || word.starts_with("mode=")))
        words.push_back(word);
    tell("mount " + fields[4], dash[1] + " " + joined(words));
  }
}

std::string node(const std::string& path) {
  struct stat facts {};
  if (::lstat(path.c_str(), &facts) != 0) return error_name();
  char text[128];
  if (S_ISLNK(facts.st_mode)) {
    char to[256] = "";
    return std::string("-> ") + (::readlink(path.c_str(), to, sizeof to - 1) > 0 ? to : "?");
  }
  if (!S_ISCHR(facts.st_mode) && !S_ISBLK(facts.st_mode))
    return S_ISDIR(facts.st_mode) ? "directory" : "file";
  std::snprintf(text, sizeof text, "%c %u:%u %o", S_ISCHR(facts.st_mode) ? 'c' : 'b',
                major(facts.st_rdev), minor(facts.st_rdev), facts.st_mode & 0777);
  return text;
}

void tell_devices() {
  auto names = names_in("/dev");
  std::sort(names.begin(), names.end());
  for (const auto& name : names) tell("device " + name, node("/dev/" + name));
  struct Number {
    const char* name;
    mode_t type;
    unsigned major, minor;
  };
  for (const Number& one : {Number{"memory", S_IFCHR, 1, 1},
                            {"kmsg", S_IFCHR, 1, 11},
                            {"disk", S_IFBLK, 8, 0},
                            {"fuse", S_IFCHR, 10, 229},
                            {"null", S_IFCHR, 1, 3}}) {
    std::string path = std::string("/tmp/") + one.name;
    ::mkdir("/tmp", 0777);
    long made = ::mknod(path.c_str(), one.type | 0600, makedev(one.major, one.minor));
    int fd = made == 0 ? ::open(path.c_str(), O_RDONLY) : -1;
    tell(std::string("open_of_made_device ") + one.name, made < 0 ? word(made) : word(fd));
    if (fd >= 0) ::close(fd);
    ::unlink(path.c_str());
  }
}

// "hidden": not there, or empty.
std::string visible(const std::string& path) {
  struct stat facts {};
  if (::stat(path.c_str(), &facts) != 0) return "hidden";
  bool empty = S_ISDIR(facts.st_mode) ? names_in(path).empty() : contents(path).empty();
  return empty ? "hidden" : "visible";
}

// v2's own directory, or v1's controllers; above those is a tmpfs of the container's own.
void tell_cgroup() {
  std::vector<std::string> dirs = {"/sys/fs/cgroup"};
  for (const auto& name : names_in(dirs[0])) dirs.push_back(dirs[0] + "/" + name);
  std::string found = "none is there";
  for (const auto& dir : dirs) {
    if (::access((dir + "/cgroup.procs").c_str(), F_OK) != 0) continue;
    int fd = ::open((dir + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC);
    std::string made = word(::mkdir((dir + "/new").c_str(), 0755));
    if (found != "EROFS" && found != "none is there") break;
    found = fd >= 0 || made != "EROFS" ? dir + " can be written" : "EROFS";
  }
  tell("write cgroup", found);
}

void tell_paths() {
  for (const char* path :
       {"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys",
        "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi", "/proc/timer_list",
        "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware", "/sys/fs/selinux",
        "/sys/devices/system/cpu/cpu0/thermal_throttle"})
    tell(std::string("masked ") + path, visible(path));
  for (const char* path :
       {"/proc/sys/kernel/core_pattern", "/proc/sys/vm/drop_caches", "/proc/sysrq-trigger",
        "/proc/irq/default_smp_affinity", "/sys/kernel/uevent_helper", "/sys/kernel/mm/ksm/run"}) {
    int fd = ::open(path, O_WRONLY | O_CLOEXEC);
    std::string found = word(fd);
    tell(std::string("write ") + path, found == "ENOENT" ? "EROFS" : found);
    if (fd >= 0) ::close(fd);
  }
  tell_cgroup();
  tell("write /sys", word(::mkdir("/sys/new", 0755)));
  tell("write /", word(::mkdir("/new", 0755)));
  ::rmdir("/new");
}

void tell_calls() {
  struct Call {
    const char* name;
    std::function<long()> run;
  };
  const timeval now{1, 0};
  const Call calls[] = {
      {"mount", [] { return ::mount("none", "/tmp", "tmpfs", 0, nullptr); }},
      {"umount", [] { return ::umount2("/proc", MNT_DETACH); }},
      {"pivot_root", [] { return ::syscall(SYS_pivot_root, "/", "/"); }},
      {"unshare_user", [] { return ::unshare(CLONE_NEWUSER); }},
      {"unshare_mount", [] { return ::unshare(CLONE_NEWNS); }},
      {"setns", [] { return ::setns(0, 0); }},
      {"clone3", [] { return ::syscall(SYS_clone3, nullptr, 0); }},
      {"keyctl", [] { return ::syscall(SYS_keyctl, 0, 0, 0, 0, 0); }},
      {"add_key", [] { return ::syscall(SYS_add_key, nullptr, nullptr, nullptr, 0, 0); }},
      {"bpf", [] { return ::syscall(SYS_bpf, 0, nullptr, 0); }},
      {"perf_event_open", [] { return ::syscall(SYS_perf_event_open, nullptr, 0, 0, 0, 0); }},
      {"userfaultfd", [] { return ::syscall(SYS_userfaultfd, 0); }},
      {"init_module", [] { return ::syscall(SYS_init_module, nullptr, 0, nullptr); }},
      {"kexec_load", [] { return ::syscall(SYS_kexec_load, 0, 0, nullptr, 0); }},
      {"open_by_handle_at", [] { return ::syscall(SYS_open_by_handle_at, -1, nullptr, 0); }},
      {"reboot", [] { return ::syscall(SYS_reboot, 0, 0, 0, nullptr); }},
      {"settimeofday", [&] { return ::settimeofday(&now, nullptr); }},
      {"sethostname", [] { return ::sethostname("x", 1); }},
      {"swapon", [] { return ::syscall(SYS_swapon, "/nosuch", 0); }},
      {"acct", [] { return ::syscall(SYS_acct, "/nosuch"); }},
      {"quotactl", [] { return ::syscall(SYS_quotactl, 0, nullptr, 0, nullptr); }},
      {"syslog", [] { return ::syscall(SYS_syslog, 10, nullptr, 0); }},
      {"iopl", [] { return ::syscall(SYS_iopl, 3); }},
      {"socket_alg", [] { return ::socket(AF_ALG, SOCK_SEQPACKET, 0); }},
      {"socket_vsock", [] { return ::socket(AF_VSOCK, SOCK_STREAM, 0); }},
      {"socket_inet", [] { return ::socket(AF_INET, SOCK_STREAM, 0); }},
      {"personality", [] { return static_cast<long>(::personality(0x0040000)); }},
      {"chroot", [] { return ::chroot("/"); }},
      {"setgid", [] { return ::setgid(0); }},
  };
  for (const Call& call : calls) tell(std::string("call ") + call.name, word(call.run()));
}

void tell_network() {
  auto names = names_in("/sys/class/net");
  tell("interfaces", joined(names));
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  int fd = ::socket(AF_INET, SOCK_DGRAM, 0);
  ::ioctl(fd, SIOCGIFFLAGS, &request);
  tell("loopback", (request.ifr_flags & IFF_UP) != 0 ? "up" : "down");
}

// It tries what must fail, and on a host much of that would not.
bool is_inside() {
  char name[256] = "";
  ::gethostname(name, sizeof name - 1);
  return std::string_view(name) == "inside" && ::access("/inside", F_OK) == 0 &&
         ::access("/boot", F_OK) != 0 && ::access("/usr/sbin/init", F_OK) != 0;
}

}  // namespace

int main() {
  if (!is_inside()) {
    std::fprintf(stderr, "only for the container that tests/py/test_defaults.py makes\n");
    return 2;
  }
  tell_descriptors();
  tell_status();
  tell_process();
  tell_environment();
  tell_mounts();
  tell_devices();
  tell_paths();
  tell_network();
  tell_calls();
}
