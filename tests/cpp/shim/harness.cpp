// SPDX-License-Identifier: Apache-2.0
#include "shim/harness.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>

#include "base/cgroup.h"
#include "base/error.h"
#include "base/files.h"
#include "base/mount.h"
#include "base/process.h"
#include "ttrpc/client.h"

namespace ctrd::shim {
namespace {

namespace fs = std::filesystem;

int open_descriptors() {
  int count = 0;
  for (const auto& entry : fs::directory_iterator("/proc/self/fd")) count += entry.exists() ? 1 : 0;
  return count;
}

// A test runner may give us no stdin at all, and ignored signals.
const bool kSane = [] {
  while (true) {
    int fd = ::open("/dev/null", O_RDWR);
    if (fd > STDERR_FILENO) return ::close(fd) == 0 && std::signal(SIGCHLD, SIG_DFL) != SIG_ERR;
    if (fd < 0) return false;
  }
}();

std::string make_temp_dir() {
  std::string name = "/tmp/ctrd-shim-test-XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) throw sys_error("making " + name);
  return name;
}

UniqueFd listen_at(int dir) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  fd_path(dir, api::kSocketFile).copy(address.sun_path, sizeof(address.sun_path) - 1);
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) < 0 ||
      ::listen(fd.get(), 64) < 0)
    throw sys_error("listening");
  return fd;
}

oci::Json base_config(const std::vector<std::string>& args, const std::string& cgroup) {
  using oci::Json;
  Json ns = Json::array();
  for (const char* type : {"pid", "mount", "ipc", "uts"}) ns.push_back({{"type", type}});
  Json proc = {{"destination", "/proc"}, {"type", "proc"}, {"source", "proc"}};
  Json env = Json::array({"PATH=/bin"});
  return {
      {"ociVersion", "1.0.2"},
      {"process", {{"args", args}, {"cwd", "/"}, {"env", env}, {"user", {{"uid", 0}, {"gid", 0}}}}},
      {"root", {{"path", busybox_root()}}},
      {"mounts", Json::array({proc})},
      {"linux", {{"namespaces", ns}, {"cgroupsPath", cgroup}}}};
}

}  // namespace

std::string shim_binary() {
  if (const char* path = std::getenv("CTRD_SHIM")) return path;
  return fs::path(real_path("/proc/self/exe")).parent_path() / "containerd-shim-ctrd-v2";
}

std::size_t open_fds(pid_t pid, const std::string& like) {
  std::size_t count = 0;
  std::error_code gone;
  for (const auto& entry : fs::directory_iterator("/proc/" + std::to_string(pid) + "/fd"))
    count += fs::read_symlink(entry, gone).string().find(like) != std::string::npos ? 1 : 0;
  return count;
}

std::size_t resting_fds(pid_t shim) {
  EXPECT_TRUE(eventually([&] { return open_fds(shim, "socket:") == 1; }));
  return open_fds(shim);
}

bool eventually(const std::function<bool()>& condition) {
  Wait wait = soon();
  while (!condition()) {
    if (wait.expired()) return false;
    poll_until({}, wait.within(std::chrono::milliseconds(5)));
  }
  return true;
}

UniqueFd pidfd_of(pid_t pid) {
  return UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
}

Wait soon() { return Wait{.deadline = after(kLong), .interrupted = {}}; }

std::string read_to_end(int fd) {
  std::string text;
  std::string buffer(1 << 16, '\0');
  for (;;) {
    wait_ready(fd, POLLIN, soon(), "reading output");
    ssize_t n = ::read(fd, buffer.data(), buffer.size());
    if (n == 0) return text;
    if (n > 0) text.append(buffer, 0, static_cast<std::size_t>(n));
  }
}

const std::string& busybox_root() {
  struct Root {
    std::string path = make_temp_dir();
    Root() {
      for (const char* name : {"bin", "proc", "dev", "tmp"})
        fs::create_directory(path + "/" + name);
      fs::copy_file("/bin/busybox", path + "/bin/busybox");
      for (const char* name :
           {"sh", "true", "sleep", "cat", "echo", "dd", "grep", "kill", "yes", "head", "ls", "stty",
            "tty", "seq", "setsid", "md5sum", "stat", "touch"})
        fs::create_symlink("busybox", path + "/bin/" + name);
    }
    ~Root() { fs::remove_all(path); }
  };
  static const Root root;
  return root.path;
}

ttrpc::Request to_task(const std::string& method, std::string payload) {
  ttrpc::Request request;
  request.service = api::kTaskV2;
  request.method = method;
  request.payload = std::move(payload);
  return request;
}

Harness::Harness(std::string runtime_path) : runtime(std::move(runtime_path)) {
  EXPECT_TRUE(kSane);
  busybox_root();
  fds_before_ = open_descriptors();
  dir = make_temp_dir();
  bundle = dir + "/bundle";
  fs::create_directories(bundle + "/io");
  bundle_dir = open_dir(bundle);
  ::flock(bundle_dir.get(), LOCK_EX);
  cgroup = "/ctrd-" + random_hex(6) + "-test-" + id;
  options.binary_name = runtime;
  options.cgroups_path = cgroup;
  options.instance = random_hex(8);
  options.log_dir = dir + "/logs/" + options.instance;
}

Harness::~Harness() {
  if (shim.pid > 0) {
    ::kill(shim.pid, SIGTERM);
    exit_status();
  }
  expect_no_trace();
  if (::testing::Test::HasFailure()) std::fputs(shim_log().c_str(), stderr);
  bundle_dir.reset();
  fs::remove_all(dir);
  EXPECT_EQ(open_descriptors(), fds_before_);
}

void Harness::configure(const std::vector<std::string>& args, const oci::Json& patch) {
  oci::Json config = base_config(args, cgroup);
  config.merge_patch(patch);
  replace_file_at(bundle_dir.get(), api::kConfigFile, config.dump(), 0600, false);
}

void Harness::spawn(int owner, int spawner) {
  UniqueFd listener = listen_at(bundle_dir.get());
  UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  UniqueFd log = open_at(bundle_dir.get(), api::kShimLogFile, O_WRONLY | O_CREAT | O_APPEND);
  UniqueFd self = pidfd_of(::getpid());
  SpawnSpec spec;
  spec.argv = {shim_binary(), "-namespace", "test", "-id", id, "-bundle", bundle, "serve"};
  const char* first = std::getenv("CTRD_TEST_PATH");  // directories before those of the machine
  std::string path = "/usr/sbin:/usr/bin:/sbin:/bin";
  spec.env = {"PATH=" + (first == nullptr ? path : first + (":" + path))};
  spec.cwd_dir = bundle_dir.get();
  spec.fds = {{log.get(), 1},
              {log.get(), 2},
              {listener.get(), api::kListenFd},
              {owner < 0 ? null.get() : owner, api::kOwnerFd},
              {bundle_dir.get(), api::kClaimFd},
              {spawner < 0 ? self.get() : spawner, api::kSpawnerFd}};
  spec.new_session = true;
  shim = ctrd::spawn(spec);
}

std::string Harness::raw_call(std::string_view service, const std::string& method,
                              std::string payload) {
  ttrpc::Request request;
  request.service = service;
  request.method = method;
  request.payload = std::move(payload);
  return ttrpc::call_at(bundle_dir.get(), api::kSocketFile, std::move(request), soon());
}

api::CreateRequest Harness::create_request() const {
  api::CreateRequest request;
  request.id = id;
  request.bundle = bundle;
  request.rootfs = rootfs;
  request.terminal = terminal;
  request.stdin_path = stdin_path;
  request.stdout_path = stdout_path;
  request.stderr_path = stderr_path;
  request.options = {.type_url = std::string(api::kOptionsType), .value = api::encode(options)};
  return request;
}

void Harness::run_sleeper(const oci::Json& patch) {
  configure({"/bin/sleep", "1000"}, patch);
  spawn();
  create();
  start();
}

Harness::Proc Harness::proc(const std::string& exec_id, const std::vector<std::string>& args,
                            const std::vector<std::string>& streams, const oci::Json& patch) {
  Proc made;
  made.id = exec_id;
  std::string at = bundle + "/exec/" + exec_id;
  fs::create_directories(at);
  api::ExecProcessRequest& request = made.request;
  for (const std::string& name : streams) {
    std::string path = at + "/" + name;
    if (::mkfifo(path.c_str(), 0600) < 0) throw sys_error("making " + path);
    bool is_in = name == "stdin";
    UniqueFd fd(::open(path.c_str(), (is_in ? O_RDWR : O_RDONLY) | O_NONBLOCK | O_CLOEXEC));
    (is_in ? made.in : name == "stdout" ? made.out : made.err) = std::move(fd);
    (is_in              ? request.stdin_path
     : name == "stdout" ? request.stdout_path
                        : request.stderr_path) = path;
  }
  oci::Json process = base_config(args, cgroup)["process"];
  process.merge_patch(patch.is_null() ? oci::Json::object() : patch);
  request.id = id;
  request.exec_id = exec_id;
  request.spec = {"types.containerd.io/opencontainers/runtime-spec/1/Process", process.dump()};
  return made;
}

void Harness::end() {
  kill(SIGKILL);
  wait();
  remove_and_leave();
}

api::DeleteResponse Harness::remove_and_leave() {
  api::DeleteResponse response = remove();
  EXPECT_EQ(exit_status(), 0);
  return response;
}

int Harness::exit_status() {
  std::optional<Exit> ended = reap(shim, soon());
  EXPECT_TRUE(ended);
  shim = {};
  return ended ? ended->status : -1;
}

UniqueFd Harness::fifo(const std::string& name) {
  std::string path = bundle + "/io/" + name;
  if (::mkfifo(path.c_str(), 0600) < 0) throw sys_error("making " + path);
  (name == "stdin" ? stdin_path : name == "stdout" ? stdout_path : stderr_path) = path;
  int mode = name == "stdin" ? O_RDWR : O_RDONLY;
  return UniqueFd(::open(path.c_str(), mode | O_NONBLOCK | O_CLOEXEC));
}

api::ExitFile Harness::exit_file() const { return api::find_exit_file(bundle_dir.get()).value(); }
api::StatusFile Harness::status_file() const {
  return api::find_status_file(bundle_dir.get()).value();
}

std::string Harness::shim_log() const {
  return find_file_at(bundle_dir.get(), api::kShimLogFile).value_or("");
}

void Harness::expect_no_trace() const {
  expect_no_cgroup();
  EXPECT_TRUE(mounts_below(dir).empty());
  siginfo_t info{};
  EXPECT_NE(::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT), 0)
      << "a child is left: " << info.si_pid;
}

void Harness::expect_no_cgroup() const {
  EXPECT_TRUE(cgroup_pids(cgroup).empty());
  EXPECT_TRUE(cgroup_dirs(cgroup).empty()) << cgroup;
}

std::string Runtimes::runtime() const { return find_program(GetParam()).value(); }

}  // namespace ctrd::shim
