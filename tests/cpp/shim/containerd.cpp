// SPDX-License-Identifier: Apache-2.0
#include "shim/containerd.h"

#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <protozero/pbf_reader.hpp>

#include "base/files.h"
#include "shim/event.h"

namespace ctrd::shim {
namespace {

UniqueFd listen_on(const std::string& path) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) < 0 ||
      ::listen(fd.get(), 64) < 0)
    throw sys_error("listening on " + path);
  return fd;
}

api::Event envelope_of(const std::string& request) {
  protozero::pbf_reader reader(request);
  if (!reader.next(1)) throw invalid("ForwardRequest", request, "has no envelope");
  return api::decode<api::Event>(reader.get_bytes());
}

}  // namespace

EventServer::EventServer(const std::string& path, std::string refused, Nanos late)
    : path_(path), refused_(std::move(refused)) {
  server_.emplace(loop_, listen_on(path),
                  [this, late](ttrpc::Request request) -> boost::asio::awaitable<std::string> {
                    if (late > Nanos()) co_await pause_for(late);
                    EXPECT_EQ(request.service, "containerd.services.events.ttrpc.v1.Events");
                    EXPECT_EQ(request.method, "Forward");
                    api::Event event = envelope_of(request.payload);
                    if (event.topic == refused_) throw invalid("topic", event.topic, "is refused");
                    std::lock_guard lock(mutex_);
                    events_.push_back(std::move(event));
                    co_return std::string();
                  });
  thread_ = std::thread([this] { loop_.run(); });
}

EventServer::~EventServer() {
  loop_.stop();
  thread_.join();
  server_.reset();
  ::unlink(path_.c_str());
}

std::vector<api::Event> EventServer::events() const {
  std::lock_guard lock(mutex_);
  return events_;
}

std::vector<std::string> EventServer::topics() const {
  std::vector<std::string> found;
  for (const api::Event& event : events()) found.push_back(event.topic);
  return found;
}

Containerd::Containerd(std::string runtime) : h(std::move(runtime)), events(h.dir + "/events") {
  ::flock(h.bundle_dir.get(), LOCK_UN);  // the program takes it
  api::RuncOptions theirs;
  theirs.binary_name = h.runtime;
  options = {std::string(api::kRuncOptionsType), api::encode(theirs)};
}

Containerd::~Containerd() {
  if (h.shim.pid > 0) {
    ::kill(h.shim.pid, SIGTERM);
    h.exit_status();
    execute("delete");
  }
}

Output Containerd::execute(const std::string& action, const std::string& input) {
  SpawnSpec spec;
  spec.argv = {shim_binary(),     "-namespace", "ns",  "-address", h.dir + "/containerd.sock",
               "-publish-binary", "/bin/true",  "-id", h.id};
  if (action == "delete") spec.argv.insert(spec.argv.end(), {"-bundle", h.bundle});
  spec.argv.insert(spec.argv.end(), flags.begin(), flags.end());
  spec.argv.push_back(action);
  spec.env = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "TTRPC_ADDRESS=" + events,
              "SHIM_SOCKET_DIR=" + h.dir + "/s"};
  spec.env.insert(spec.env.end(), env.begin(), env.end());
  spec.fds = fds;
  spec.cwd_dir = h.bundle_dir.get();
  return run_command(spec, input, soon());
}

Output Containerd::start(const std::string& input) {
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);  // so that the shim is ours to reap
  Output out = execute("start", input);
  ::prctl(PR_SET_CHILD_SUBREAPER, 0);
  if (out.exit.status != 0) return out;
  auto address = find_file_at(h.bundle_dir.get(), "address").value();
  socket = address.substr(std::string("unix://").size());
  std::error_code ignored;
  std::filesystem::remove(h.bundle + "/" + api::kSocketFile, ignored);
  std::filesystem::create_symlink(socket, h.bundle + "/" + api::kSocketFile);
  pid_t pid = static_cast<pid_t>(
      h.call<api::ConnectResponse>("Connect", api::ConnectRequest{h.id}).shim_pid);
  h.shim = {.pid = pid, .pidfd = pidfd_of(pid)};
  return out;
}

uint32_t Containerd::create() {
  api::CreateRequest request = h.create_request();
  request.options = options;
  return h.call<api::CreateResponse>("Create", request).pid;
}

void Containerd::shutdown() {
  try {
    h.call<api::Empty>("Shutdown", api::ShutdownRequest{h.id});
  } catch (const Error& error) {  // it may be gone before its answer is read
    EXPECT_EQ(error.code(), Code::kUnavailable) << error.message();
  }
}

api::DeleteResponse Containerd::clean_up() {
  Output out = execute("delete");
  EXPECT_EQ(out.exit.status, 0) << out.err;
  EXPECT_EQ(out.err, "");
  return api::decode<api::DeleteResponse>(out.out);
}

}  // namespace ctrd::shim
