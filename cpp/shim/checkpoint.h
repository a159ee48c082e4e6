// SPDX-License-Identifier: Apache-2.0
// One run of CRIU by the runtime: what the request's options mean, the folder that it works in, and
// what becomes of its log. Not the task's states: task_checkpoint.cpp, task_restore.cpp.
#pragma once

#include <string>
#include <vector>

#include "api/checkpoint.h"
#include "base/error.h"
#include "oci/verbs.h"
#include "shim/bundle.h"

namespace ctrd::shim {

// Of either family; none: all false.
api::CheckpointOptions checkpoint_options(const api::Any& any);
oci::CheckpointFlags checkpoint_flags(const api::CheckpointOptions& options);
// Where the images go: an absolute path; made if it is not there. Throws invalid.
void make_image_dir(const std::string& path);
// Where they are: throws not_found (kCheckpoint).
void need_image_dir(const std::string& path);

// Its own folder in the bundle (or the client's), gone with it but for the log of a failure.
class CriuWork {
 public:
  // given: the client's, "" for one of our own.
  CriuWork(const Bundle& bundle, const std::string& given);
  CriuWork(const CriuWork&) = delete;
  ~CriuWork();

  const std::string& path() const { return path_; }
  // Tells CRIU what the runtimes have no options for, by a file of the bundle: of a restore, also
  // the cgroup that it goes into, which runc and crun tell it for v1 alone. Returns the runtime's
  // environment that names it.
  std::vector<std::string> configure(const api::CriuOptions& options,
                                     const std::string& cgroup = "") const;
  // What the runtime's failure was about; the log is kept in the bundle.
  Error failed(const oci::Command& command, const oci::Outcome& outcome) const;

 private:
  const Bundle& bundle_;
  std::string path_;
  bool ours_;
};

// CRIU has put it where it was told, or below. Throws kUnimplemented: in another cgroup, whose end
// or freezing would be its own.
void check_cgroup(pid_t init, const std::string& wanted);
// The name of its own in its UTS namespace, which is not ours. Throws sys_error.
void set_hostname(pid_t init, const std::string& hostname);

}  // namespace ctrd::shim
