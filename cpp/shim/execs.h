// SPDX-License-Identifier: Apache-2.0
// The table of a task's exec'ed processes, by exec id. A process leaves it by Delete only.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "shim/exec.h"

namespace ctrd::shim {

class Execs {
 public:
  explicit Execs(TaskSide& task) : task_(task) {}

  // Throws kAlreadyExists for an id in the table; kFailedPrecondition; invalid. On failure nothing
  // is left.
  void add(api::ExecProcessRequest request);
  std::shared_ptr<Exec> get(const std::string& exec_id) const;  // throws kNotFound kProcess
  asio::awaitable<api::ExitInfo> remove(std::string exec_id);

  // Until none is being started.
  asio::awaitable<void> none_starting();
  // Until none is alive. False: some still are at the deadline.
  asio::awaitable<bool> none_running(TimePoint deadline);
  std::map<uint32_t, std::string> ids_by_pid() const;  // of those that run
  // To each that runs or is being started; one that cannot have it is passed over.
  void signal(uint32_t number);
  // The task has been deleted, and they with it.
  void clear();

 private:
  std::shared_ptr<Exec> find(bool (Exec::*is)() const) const;

  TaskSide& task_;
  std::map<std::string, std::shared_ptr<Exec>> table_;
};

}  // namespace ctrd::shim
