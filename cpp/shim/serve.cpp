// SPDX-License-Identifier: Apache-2.0
#include "shim/serve.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <cstdlib>
#include <exception>

#include "base/error.h"
#include "base/files.h"
#include "base/identifier.h"
#include "base/log.h"
#include "shim/descriptor_limit.h"
#include "shim/mount_namespace.h"
#include "shim/service.h"
#include "shim/signals.h"
#include "shim/socket.h"
#include "shim/watch.h"
#include "ttrpc/server.h"

namespace ctrd::shim {
namespace {

constexpr Nanos kIdle = std::chrono::seconds(30);
constexpr int kIdleWithEvents = 20;                      // times that: 10 minutes
constexpr Nanos kLastAnswers = std::chrono::seconds(1);  // for a peer to read them

// Everything that lives as long as the process; it is never destroyed.
class Shim {
 public:
  Shim(const Arguments& arguments, Client client, std::size_t descriptors);
  [[noreturn]] void run();

 private:
  void forward_events();
  Hooks hooks();
  void created();
  void deleted();
  void owner_gone();
  void end_everything(std::string_view why, bool patient = false);
  asio::awaitable<void> end(bool patient);
  asio::awaitable<void> end_at_exit();
  void detach();
  void told_to_end();
  asio::awaitable<void> end_when_idle();
  bool is_idle() const;
  void leave();
  void answered();
  asio::awaitable<void> exit_when_told();

  const bool is_containerds_;
  const Nanos idle_limit_;                                     // without a task and a connection
  asio::io_context loop_{BOOST_ASIO_CONCURRENCY_HINT_UNSAFE};  // one thread: no locks
  Signals signals_{loop_};
  Reaper reaper_;
  Task task_;
  Service service_;
  Watch owner_;
  Watch spawner_;
  bool owner_lost_ = false, ending_ = false, leaving_ = false, answered_ = false;
  ttrpc::Server server_;
};

// One above the client's, as containerd's shims have it: the kernel takes what can be started again
// before what started it. The container's own is what its spec says.
void raise_oom_score() {
  try {
    constexpr int kMost = 1000;
    int score = std::stoi(read_file_at(open_dir("/proc/self").get(), "oom_score_adj", 64));
    UniqueFd file = open_at(open_dir("/proc/self").get(), "oom_score_adj", O_WRONLY);
    write_all(file.get(), std::to_string(std::min(score + 1, kMost)));
  } catch (const std::exception& error) {
    log(Level::kWarning, std::string("oom_score_adj: ") + error.what());
  }
}

void check_descriptors() {
  for (int fd = api::kListenFd; fd <= api::kSpawnerFd; ++fd)
    if (::fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) throw sys_error("descriptor " + std::to_string(fd));
  ::close_range(api::kSpawnerFd + 1, ~0U, 0);
}

void check(const Arguments& arguments) {
  check_identifier("-namespace", arguments.get("namespace"));
  check_identifier("-id", arguments.get("id"));
  if (!arguments.get("bundle").starts_with('/'))
    throw invalid("-bundle", arguments.get("bundle"), "not an absolute path");
  check_descriptors();
}

// Each that waits has one. Half of the descriptors are for the streams of execs.
ttrpc::Limits limits(std::size_t descriptors) {
  constexpr std::size_t kMost = 8192;
  ttrpc::Limits limits;
  limits.connections = std::min(descriptors / 2, kMost);
  return limits;
}

Nanos idle_limit(const Arguments& arguments) {
  std::string given = arguments.get("idle-ms");
  return given.empty() ? kIdle : std::chrono::milliseconds(std::stol(given));
}

Shim::Shim(const Arguments& arguments, Client client, std::size_t descriptors)
    : is_containerds_(client.is_containerd),
      idle_limit_(idle_limit(arguments)),
      task_(loop_, reaper_, Bundle(arguments.get("bundle"), UniqueFd(api::kClaimFd)),
            arguments.get("id"), {}, client),
      service_(loop_, task_, hooks()),
      owner_(loop_, UniqueFd(api::kOwnerFd), [this] { owner_gone(); }),
      spawner_(loop_, UniqueFd(api::kSpawnerFd),
               [this] { end_everything("the process that spawns it has gone"); }),
      server_(
          loop_, UniqueFd(api::kListenFd),
          [this](ttrpc::Request request) { return service_.dispatch(std::move(request)); },
          limits(descriptors)) {
  if (is_containerds_) {
    forward_events();
    start(loop_, end_when_idle(), "waiting for containerd");
  }
  start(loop_, signals_.run([this] { reaper_.reap(); }, [this] { told_to_end(); }),
        "reading signals");
}

// A container runs without events too.
void Shim::forward_events() {
  const char* address = std::getenv("TTRPC_ADDRESS");
  try {
    if (address != nullptr) task_.publisher().forward_to(address);
  } catch (const Error& error) {
    log(Level::kError, "there are no events: " + error.message());
  }
}

void Shim::run() {
  loop_.run();
  ::_exit(0);
}

Hooks Shim::hooks() {
  return {.created = [this] { created(); },
          .deleted = [this] { deleted(); },
          .finished = [this] { leave(); },
          .detach = [this] { detach(); },
          .is_owned = [this] { return owner_.active(); },
          .is_containerds = is_containerds_};
}

void Shim::created() {
  spawner_.stop();
  if (task_.options().lifetime == api::Lifetime::kDetached)
    owner_.stop();
  else if (owner_lost_)
    owner_gone();
  if (task_.options().on_exit == api::OnExit::kDelete)
    start(loop_, end_at_exit(), "waiting for the end of the task");
}

// containerd sends Shutdown after that.
void Shim::deleted() {
  if (is_containerds_)
    start(loop_, end_when_idle(), "waiting for containerd");
  else
    leave();
}

bool Shim::is_idle() const {
  return !task_.exists() && server_.connections() == 0 && server_.under_way() == 0;
}

// containerd may die before its Create, or between its Delete and Shutdown. What it has not been
// told is kept for the next one, if that comes in time.
asio::awaitable<void> Shim::end_when_idle() {
  TimePoint busy = Clock::now();
  while (!task_.exists() && !leaving_) {
    co_await pause_for(idle_limit_ / 8);
    if (!is_idle()) busy = Clock::now();
    bool waits = task_.publisher().is_forwarding();
    if (Clock::now() - busy >= (waits ? kIdleWithEvents : 1) * idle_limit_) leave();
  }
}

// One step of the loop: the owner's end comes before it, or never.
void Shim::detach() {
  if (ending_ || owner_lost_)
    throw failed_precondition("detach: the owner has gone, and the task with it", Kind::kTask);
  task_.detach();
  owner_.stop();
}

// on_exit="delete": who meets the ended bundle removes record and layer.
asio::awaitable<void> Shim::end_at_exit() {
  try {
    co_await task_.wait();
  } catch (const Error&) {
    co_return;  // it was deleted
  }
  end_everything("its task has ended", true);
}

// Before there is a task its spawner counts: only Create tells whether it has an owner at all.
void Shim::owner_gone() {
  if (task_.exists() && task_.options().lifetime == api::Lifetime::kDetached) return;
  owner_lost_ = true;
  if (task_.exists()) end_everything("its owner has gone");
}

void Shim::end_everything(std::string_view why, bool patient) {
  if (std::exchange(ending_, true)) return;
  log(Level::kInfo, "the shim ends: " + std::string(why));
  start(loop_, end(patient), "ending the task");
}

asio::awaitable<void> Shim::end(bool patient) {
  try {
    co_await task_.end(patient);
  } catch (const std::exception& error) {
    log(Level::kError, std::string("ending the task: ") + error.what());
  }
  leave();
}

// Without a connection containerd has our `delete` end what is left.
void Shim::told_to_end() {
  if (is_containerds_)
    leave();
  else
    end_everything("it was told to");
}

void Shim::leave() {
  if (std::exchange(leaving_, true)) return;
  if (is_containerds_) remove_socket(api::kListenFd);
  task_.publisher().finish();
  server_.close([this] { answered(); });
  asio::co_spawn(loop_, pause_for(kLastAnswers), [this](const std::exception_ptr&) { answered(); });
}

void Shim::answered() {
  if (!is_containerds_) ::_exit(0);
  if (!std::exchange(answered_, true)) start(loop_, exit_when_told(), "the last events");
}

asio::awaitable<void> Shim::exit_when_told() {
  co_await task_.publisher().finish_forwarding();
  ::_exit(0);
}

Client client_of(const Arguments& arguments) {
  return {.ns = arguments.get("namespace"), .is_containerd = arguments.has("containerd")};
}

}  // namespace

void serve(const Arguments& arguments) {
  check(arguments);
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1) < 0) throw sys_error("becoming a subreaper");
  ::umask(0022);  // runc leaves it to what it executes
  raise_oom_score();
  Client client = client_of(arguments);
  // A group of its own, but no session: each is an autogroup, and where the kernel shares time by
  // those, a new one waits for its first turn longer than a container takes.
  if (client.is_containerd) ::setpgid(0, 0);
  // containerd unmounts what a shim has left, and its restarts must find it.
  if (!client.is_containerd) enter_private_mount_namespace();
  static Shim shim(arguments, client, raise_descriptor_limit());
  shim.run();
}

}  // namespace ctrd::shim
