// SPDX-License-Identifier: Apache-2.0
// From a ttrpc request to the task: containerd.task.v2.Task, v3 (the same) and ctrd.shim.v1.Shim.
// Verbs that change something run apart from their connection, so that a client that goes leaves
// nothing half-done.
#pragma once

#include <functional>
#include <string>

#include "shim/task.h"
#include "ttrpc/frame.h"

namespace ctrd::shim {

// What the service asks of the program around it.
struct Hooks {
  std::function<void()> created;   // Create has succeeded
  std::function<void()> deleted;   // the task was
  std::function<void()> finished;  // Shutdown came, and there is no task: end after this answer
  std::function<void()> detach;    // watch the owner no more; throws if it has gone already
  std::function<bool()> is_owned;
  bool is_containerds = false;
};

class Service {
 public:
  Service(asio::io_context& loop, Task& task, Hooks hooks);
  asio::awaitable<std::string> dispatch(ttrpc::Request request);

 private:
  using Verb = asio::awaitable<std::string> (Service::*)(ttrpc::Request);  // runs apart
  using Query = std::string (Service::*)(const ttrpc::Request&);           // answers at once
  static Verb find_verb(std::string_view method);
  static Query find_query(std::string_view method);
  static Verb find_shim_verb(std::string_view method);
  static Query find_shim_query(std::string_view method);

  asio::awaitable<std::string> create(ttrpc::Request request);
  asio::awaitable<std::string> start(ttrpc::Request request);
  asio::awaitable<std::string> remove(ttrpc::Request request);
  asio::awaitable<std::string> remove_and_tell(ttrpc::Request request);
  asio::awaitable<std::string> pause(ttrpc::Request request);
  asio::awaitable<std::string> resume(ttrpc::Request request);
  asio::awaitable<std::string> update(ttrpc::Request request);
  asio::awaitable<std::string> checkpoint(ttrpc::Request request);
  asio::awaitable<std::string> hold(ttrpc::Request request);
  asio::awaitable<api::ExitInfo> remove_process(api::DeleteRequest request);
  asio::awaitable<std::string> wait(ttrpc::Request request, bool tell);
  asio::awaitable<api::ExitInfo> wait_for(api::WaitRequest request);

  std::string state(const ttrpc::Request& request);
  std::string exec(const ttrpc::Request& request);
  std::string kill(const ttrpc::Request& request);
  std::string pids(const ttrpc::Request& request);
  std::string stats(const ttrpc::Request& request);
  std::string connect(const ttrpc::Request& request);
  std::string close_io(const ttrpc::Request& request);
  std::string resize_pty(const ttrpc::Request& request);
  std::string shutdown(const ttrpc::Request& request);
  std::string info(const ttrpc::Request& request);
  std::string detach(const ttrpc::Request& request);
  std::string limit(const ttrpc::Request& request);
  std::string escalate(const ttrpc::Request& request);

  void check_id(const std::string& id) const;

  asio::io_context& loop_;
  Task& task_;
  Hooks hooks_;
};

}  // namespace ctrd::shim
