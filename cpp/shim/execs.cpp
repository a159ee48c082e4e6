// SPDX-License-Identifier: Apache-2.0
#include "shim/execs.h"

#include "base/error.h"
#include "base/identifier.h"
#include "base/log.h"

namespace ctrd::shim {

void Execs::add(api::ExecProcessRequest request) {
  check_identifier("exec_id", request.exec_id);
  task_.check_takes_execs();
  std::string id = request.exec_id;
  if (table_.contains(id))
    throw Error(Code::kAlreadyExists,
                "process " + id + " of task " + task_.id + " is there already", Kind::kProcess);
  table_.emplace(id, std::make_shared<Exec>(task_, std::move(request)));
  task_.publisher.publish_new(api::TaskExecAdded{task_.id, id});
}

std::shared_ptr<Exec> Execs::get(const std::string& exec_id) const {
  auto row = table_.find(exec_id);
  if (row == table_.end())
    throw not_found(Kind::kProcess,
                    "process " + escaped(exec_id) + " of task " + task_.id + ": there is none");
  return row->second;
}

asio::awaitable<api::ExitInfo> Execs::remove(std::string exec_id) {
  std::shared_ptr<Exec> exec = get(exec_id);
  api::ExitInfo exit = co_await exec->remove();
  auto row = table_.find(exec_id);
  if (row != table_.end() && row->second == exec) table_.erase(row);
  co_return exit;
}

std::shared_ptr<Exec> Execs::find(bool (Exec::*is)() const) const {
  for (const auto& [id, exec] : table_)
    if ((exec.get()->*is)()) return exec;
  return nullptr;
}

asio::awaitable<void> Execs::none_starting() {
  while (std::shared_ptr<Exec> exec = find(&Exec::is_starting)) co_await exec->changed().wait();
}

asio::awaitable<bool> Execs::none_running(TimePoint deadline) {
  std::shared_ptr<Exec> exec = find(&Exec::is_running);
  while (exec && Clock::now() < deadline) {
    co_await exec->changed().wait(deadline);
    exec = find(&Exec::is_running);
  }
  co_return !exec;
}

std::map<uint32_t, std::string> Execs::ids_by_pid() const {
  std::map<uint32_t, std::string> ids;
  for (const auto& [id, exec] : table_)
    if (exec->is_running()) ids.emplace(exec->pid(), id);
  return ids;
}

void Execs::signal(uint32_t number) {
  for (const auto& [id, exec] : table_) {
    try {
      if (exec->is_running() || exec->is_starting()) exec->kill(number, true);
    } catch (const Error& error) {
      log(Level::kDebug, error.message());
    }
  }
}

void Execs::clear() {
  for (const auto& [id, exec] : table_) exec->abandon();
  table_.clear();
}

}  // namespace ctrd::shim
