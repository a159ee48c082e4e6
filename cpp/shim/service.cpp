// SPDX-License-Identifier: Apache-2.0
#include "shim/service.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "api/checkpoint.h"
#include "base/error.h"

namespace ctrd::shim {
namespace {

using ttrpc::Request;

TimePoint deadline_of(const Request& request) {
  return request.timeout_ns > 0 ? after(Nanos(request.timeout_ns)) : kForever;
}

template <typename Rows>
auto find_row(const Rows& rows, std::string_view method) {
  auto row = std::ranges::find(rows, method, [](const auto& pair) { return pair.first; });
  return row == rows.end() ? nullptr : row->second;
}

}  // namespace

Service::Service(asio::io_context& loop, Task& task, Hooks hooks)
    : loop_(loop), task_(task), hooks_(std::move(hooks)) {}

Service::Verb Service::find_verb(std::string_view method) {
  static constexpr std::array<std::pair<std::string_view, Verb>, 7> kVerbs{
      {{"Create", &Service::create},
       {"Start", &Service::start},
       {"Delete", &Service::remove},
       {"Pause", &Service::pause},
       {"Resume", &Service::resume},
       {"Update", &Service::update},
       {"Checkpoint", &Service::checkpoint}}};
  return find_row(kVerbs, method);
}

Service::Verb Service::find_shim_verb(std::string_view method) {
  static constexpr std::array<std::pair<std::string_view, Verb>, 2> kVerbs{
      {{"Delete", &Service::remove_and_tell}, {"Hold", &Service::hold}}};
  return find_row(kVerbs, method);
}

Service::Query Service::find_query(std::string_view method) {
  static constexpr std::array<std::pair<std::string_view, Query>, 9> kQueries{
      {{"State", &Service::state},
       {"Exec", &Service::exec},
       {"Kill", &Service::kill},
       {"Pids", &Service::pids},
       {"Stats", &Service::stats},
       {"Connect", &Service::connect},
       {"CloseIO", &Service::close_io},
       {"ResizePty", &Service::resize_pty},
       {"Shutdown", &Service::shutdown}}};
  return find_row(kQueries, method);
}

Service::Query Service::find_shim_query(std::string_view method) {
  static constexpr std::array<std::pair<std::string_view, Query>, 4> kQueries{
      {{"Info", &Service::info},
       {"Detach", &Service::detach},
       {"Limit", &Service::limit},
       {"Escalate", &Service::escalate}}};
  return find_row(kQueries, method);
}

asio::awaitable<std::string> Service::dispatch(Request request) {
  Query query = nullptr;
  Verb verb = nullptr;
  bool is_task = request.service == api::kTaskV2 || request.service == api::kTaskV3;
  if (is_task) {
    query = find_query(request.method);
    verb = find_verb(request.method);
  } else if (request.service == api::kShimV1) {
    query = find_shim_query(request.method);
    verb = find_shim_verb(request.method);
  } else {
    throw Error(Code::kUnimplemented, "service " + request.service);
  }
  if (query != nullptr) co_return (this->*query)(request);
  if (verb != nullptr) co_return co_await apart(loop_, (this->*verb)(std::move(request)));
  if (request.method == "Wait") co_return co_await wait(std::move(request), !is_task);
  throw Error(Code::kUnimplemented, "method " + request.method);
}

void Service::check_id(const std::string& id) const {
  if (id != task_.id() || !task_.exists())
    throw not_found(Kind::kTask, "task " + escaped(id) + ": there is none");
}

asio::awaitable<std::string> Service::create(Request request) {
  auto message = api::decode<api::CreateRequest>(request.payload);
  TimePoint deadline = deadline_of(request);
  api::CreateResponse response = co_await task_.create(std::move(message), deadline);
  hooks_.created();
  co_return api::encode(response);
}

asio::awaitable<std::string> Service::start(Request request) {
  auto message = api::decode<api::StartRequest>(request.payload);
  check_id(message.id);
  TimePoint deadline = deadline_of(request);
  api::StartResponse response;
  if (message.exec_id.empty()) {
    response = co_await task_.start();
  } else {
    std::shared_ptr<Exec> exec = task_.execs().get(message.exec_id);
    response = co_await exec->start(deadline);
  }
  co_return api::encode(response);
}

asio::awaitable<std::string> Service::remove(Request request) {
  auto message = api::decode<api::DeleteRequest>(request.payload);
  api::ExitInfo exit = co_await remove_process(std::move(message));
  co_return api::encode(api::DeleteResponse{
      .pid = exit.pid, .exit_status = exit.status, .exited_ns = exit.exited_ns});
}

asio::awaitable<std::string> Service::remove_and_tell(Request request) {
  auto message = api::decode<api::DeleteRequest>(request.payload);
  api::ExitInfo exit = co_await remove_process(std::move(message));
  co_return api::encode(exit);
}

asio::awaitable<api::ExitInfo> Service::remove_process(api::DeleteRequest request) {
  check_id(request.id);
  if (!request.exec_id.empty()) {
    api::ExitInfo of_exec = co_await task_.execs().remove(std::move(request.exec_id));
    co_return of_exec;
  }
  api::ExitInfo exit = co_await task_.remove();
  hooks_.deleted();
  co_return exit;
}

asio::awaitable<std::string> Service::pause(Request request) {
  check_id(api::decode<api::PauseRequest>(request.payload).id);
  co_await task_.pause();
  co_return std::string();
}

asio::awaitable<std::string> Service::resume(Request request) {
  check_id(api::decode<api::ResumeRequest>(request.payload).id);
  co_await task_.resume();
  co_return std::string();
}

asio::awaitable<std::string> Service::update(Request request) {
  auto message = api::decode<api::UpdateTaskRequest>(request.payload);
  check_id(message.id);
  co_await task_.update(std::move(message.resources.value));
  co_return std::string();
}

asio::awaitable<std::string> Service::checkpoint(Request request) {
  auto message = api::decode<api::CheckpointTaskRequest>(request.payload);
  check_id(message.id);
  co_await task_.checkpoint(std::move(message), request.caller.get());
  co_return std::string();
}

asio::awaitable<std::string> Service::hold(Request request) {
  check_id(api::decode<api::HoldRequest>(request.payload).id);
  auto hold = std::make_shared<Hold>(Hold{request.caller});
  request.caller->at_close([this, hold] {
    hold->over = true;
    shim::start(loop_, task_.let_go(hold), "letting a frozen task go");
  });
  co_await task_.hold(hold);
  co_return std::string();
}

asio::awaitable<std::string> Service::wait(Request request, bool tell) {
  auto message = api::decode<api::WaitRequest>(request.payload);
  api::ExitInfo exit = co_await wait_for(std::move(message));
  if (tell) co_return api::encode(exit);
  co_return api::encode(api::WaitResponse{.exit_status = exit.status, .exited_ns = exit.exited_ns});
}

asio::awaitable<api::ExitInfo> Service::wait_for(api::WaitRequest request) {
  check_id(request.id);
  if (request.exec_id.empty()) {
    api::ExitInfo of_init = co_await task_.wait();
    co_return of_init;
  }
  std::shared_ptr<Exec> exec = task_.execs().get(request.exec_id);
  api::ExitInfo exit = co_await exec->wait();
  co_return exit;
}

std::string Service::state(const Request& request) {
  auto message = api::decode<api::StateRequest>(request.payload);
  check_id(message.id);
  if (message.exec_id.empty()) return api::encode(task_.state());
  return api::encode(task_.execs().get(message.exec_id)->state(task_.status()));
}

std::string Service::exec(const Request& request) {
  auto message = api::decode<api::ExecProcessRequest>(request.payload);
  check_id(message.id);
  task_.execs().add(std::move(message));
  return {};
}

std::string Service::kill(const Request& request) {
  auto message = api::decode<api::KillRequest>(request.payload);
  check_id(message.id);
  if (message.exec_id.empty())
    task_.kill(message.signal, message.all);
  else
    task_.execs().get(message.exec_id)->kill(message.signal, message.all);
  return {};
}

std::string Service::pids(const Request& request) {
  check_id(api::decode<api::PidsRequest>(request.payload).id);
  return api::encode(task_.pids());
}

std::string Service::stats(const Request& request) {
  check_id(api::decode<api::StatsRequest>(request.payload).id);
  return api::encode(task_.stats());
}

// For a task unknown or deleted as well: containerd asks so at its restart.
std::string Service::connect(const Request& request) {
  auto message = api::decode<api::ConnectRequest>(request.payload);
  return api::encode(api::ConnectResponse{.shim_pid = static_cast<uint32_t>(::getpid()),
                                          .task_pid = message.id == task_.id() ? task_.pid() : 0,
                                          .version = CTRD_VERSION});
}

std::string Service::close_io(const Request& request) {
  auto message = api::decode<api::CloseIORequest>(request.payload);
  check_id(message.id);
  if (!message.exec_id.empty()) {
    std::shared_ptr<Exec> exec = task_.execs().get(message.exec_id);
    if (message.stdin_closed) exec->close_stdin();
  } else if (message.stdin_closed) {
    task_.close_stdin();
  }
  return {};
}

std::string Service::resize_pty(const Request& request) {
  auto message = api::decode<api::ResizePtyRequest>(request.payload);
  check_id(message.id);
  Size size{.columns = message.width, .rows = message.height};
  bool has_none = size.columns == 0 || size.rows == 0;  // ctr in a terminal without one
  if (has_none && hooks_.is_containerds) return {};
  if (message.exec_id.empty())
    task_.resize(size);
  else
    task_.execs().get(message.exec_id)->resize(size);
  return {};
}

std::string Service::shutdown(const Request& request) {
  api::decode<api::ShutdownRequest>(request.payload);
  if (!task_.exists()) hooks_.finished();
  return {};
}

std::string Service::info(const Request& /*request*/) {
  return api::encode(api::InfoResponse{.version = CTRD_VERSION,
                                       .instance = task_.options().instance,
                                       .shim_pid = static_cast<uint32_t>(::getpid()),
                                       .owned = hooks_.is_owned()});
}

std::string Service::detach(const Request& /*request*/) {
  hooks_.detach();
  return {};
}

std::string Service::escalate(const Request& request) {
  auto message = api::decode<api::KillRequest>(request.payload);
  check_id(message.id);
  task_.escalate();
  return {};
}

std::string Service::limit(const Request& request) {
  auto message = api::decode<api::LimitRequest>(request.payload);
  check_id(message.id);
  if (message.exec_id.empty())
    task_.limit(message.timeout_ns);
  else
    task_.execs().get(message.exec_id)->limit(message.timeout_ns);
  return {};
}

}  // namespace ctrd::shim
