// SPDX-License-Identifier: Apache-2.0
// A further process in a task, in the making: FIFOs, Exec, Limit, Start. Rolled back as a whole
// unless it comes to commit(). Source: api/task.h, the life of an exec.
#pragma once

#include <string>
#include <utility>

#include "engine/bundle.h"
#include "engine/task.h"

namespace ctrd::engine {

class Exec {
 public:
  // Checks what is asked for, and makes the FIFOs: in a directory of their own, so that the shim
  // alone decides whose the id is.
  Exec(Core& core, const TaskRef& ref, const ExecOptions& options, const Stdio& stdio,
       const Wait& wait);
  Exec(const Exec&) = delete;
  ~Exec();

  // It has its id from here on. Throws kAlreadyExists; kFailedPrecondition.
  void add(const Wait& wait);
  // Returns its host pid. What the runtime says of its program names it.
  int start(const Wait& wait);
  void commit() { added_ = false; }

  const Task& task() const { return task_; }
  const std::string& id() const { return id_; }
  // For a start later on: the FIFOs are the caller's to remove.
  std::string take_io() { return std::exchange(io_, ""); }
  Streams& streams() { return streams_; }

 private:
  void roll_back();

  Core& core_;
  const ExecOptions options_;
  const Stdio stdio_;
  Task task_;
  const std::string id_;
  std::string io_;  // the FIFOs' directory, relative to the bundle; "" once it is gone
  std::string json_;
  Streams streams_;
  bool added_ = false;
};

// Start of one that was added: with its FIFOs ("" if it has none), which are gone afterwards.
int start_added(Core& core, const Task& task, const std::string& exec, const Wait& wait);
// Their names are needed no more once both ends are open: what is still in them stays.
void remove_fifos(const Task& task, const std::string& io);

}  // namespace ctrd::engine
