// SPDX-License-Identifier: Apache-2.0
// What the shim reads and writes in its bundle beside the runtime: facts of config.json, the pid
// file, status and exit. A status that cannot be written (a full disk) never stops a task: it is
// logged.
#pragma once

#include <sys/types.h>

#include <string>

#include "api/bundle.h"
#include "base/unique_fd.h"

namespace ctrd::shim {

struct ConfigFacts {
  bool private_pids = false;  // a pid namespace of its own: the kernel ends all when init ends
  bool terminal = false;      // the runtime will make one
  std::string cgroups_path;
};

// By another name it may still be the same.
bool is_same_dir(const std::string& path, int dir);

class Bundle {
 public:
  // dir: the bundle directory, open and perhaps locked.
  Bundle(std::string path, UniqueFd dir) : path_(std::move(path)), dir_(std::move(dir)) {}

  const std::string& path() const { return path_; }
  std::string file(const std::string& name) const { return path_ + "/" + name; }
  ConfigFacts config_facts() const;
  // What a runtime wrote into a pid file; file: relative to the bundle. Throws kInternal kRuntime:
  // no pid file, or no pid in it.
  pid_t read_pid(const std::string& file) const;
  int dir() const { return dir_.get(); }

  void write(const api::StatusFile& status) const;  // throws
  void try_write(const api::StatusFile& status) const;
  // Room for an exit file, kept from Create on: a disk may be full when the task ends, and the exit
  // is told by nothing else.
  void make_spare() const;  // throws
  void try_write(const api::ExitFile& exit) const;
  void try_remove(const std::string& name) const;  // a file or a whole directory
  void make_rootfs() const;

 private:
  void use_spare(const std::string& bytes) const;

  std::string path_;
  UniqueFd dir_;
};

}  // namespace ctrd::shim
