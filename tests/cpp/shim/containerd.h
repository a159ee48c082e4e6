// SPDX-License-Identifier: Apache-2.0
// The part of containerd for tests: executes the shim's program as containerd does, and listens
// where its events go.
#pragma once

#include <boost/asio/io_context.hpp>
#include <mutex>
#include <optional>
#include <thread>

#include "api/event.h"
#include "api/runc_options.h"
#include "shim/harness.h"
#include "ttrpc/server.h"

namespace ctrd::shim {

// containerd's ttrpc address, from construction to destruction.
class EventServer {
 public:
  // refused: the topic of events that it does not take. late: by so much it answers.
  explicit EventServer(const std::string& path, std::string refused = {}, Nanos late = {});
  ~EventServer();

  std::vector<api::Event> events() const;
  std::vector<std::string> topics() const;

 private:
  mutable std::mutex mutex_;
  std::vector<api::Event> events_;
  std::string path_, refused_;
  boost::asio::io_context loop_{1};
  std::optional<ttrpc::Server> server_;
  std::thread thread_;
};

class Containerd {
 public:
  explicit Containerd(std::string runtime);
  ~Containerd();  // ends the shim, if it is there

  // The shim's program with `action`, in the bundle.
  Output execute(const std::string& action, const std::string& input = "");
  // start, and the harness's calls go there.
  Output start(const std::string& input = "");
  uint32_t create();
  void shutdown();
  // delete, which must succeed.
  api::DeleteResponse clean_up();

  Harness h;
  std::string events;  // TTRPC_ADDRESS
  // More of these for the program.
  std::vector<std::string> flags, env;
  std::vector<std::pair<int, int>> fds;
  std::string socket;  // the shim's
  api::Any options;
};

}  // namespace ctrd::shim
