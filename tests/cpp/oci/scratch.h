// SPDX-License-Identifier: Apache-2.0
// A directory of the test's own with a busybox root file system, and real runtimes run in it.
// Everything is gone afterwards.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/unique_fd.h"
#include "oci/options.h"
#include "oci/verbs.h"

namespace ctrd::oci {

class Scratch {
 public:
  Scratch();
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  const std::string& path() const { return path_; }
  int dir() const { return dir_.get(); }
  // Writes a file below the directory, with the directories above it.
  void write(const std::string& name, const std::string& text, unsigned mode = 0644);
  // rootfs/ with busybox and its most used names, etc/passwd and etc/group.
  void make_rootfs();

 private:
  std::string path_;
  UniqueFd dir_;
};

// One container of a real runtime: options to make_spec, make_config, then verbs. Ends and removes
// it all.
class RealContainer {
 public:
  RealContainer(Scratch& scratch, const std::string& runtime);
  ~RealContainer();
  RealContainer(const RealContainer&) = delete;
  RealContainer& operator=(const RealContainer&) = delete;

  void configure(const SpecOptions& options);  // bundle/config.json
  void configure_text(const std::string& config);
  std::string config() const;
  Outcome run(const Command& command);  // with the log; stdout and stderr go to files
  void create() { check_run(create_command(runtime(), id(), bundle(), bundle() + "/init.pid")); }
  void start() { check_run(start_command(runtime(), id())); }
  void remove() { check_run(delete_command(runtime(), id(), true)); }
  void check_run(const Command& command);  // throws what check() makes of it
  Error failure(const Command& command);   // the Error; fails the test if there is none
  void wait_end();                         // until the first process has ended
  std::string output() const;              // stdout and stderr so far

  Runtime runtime() const;
  std::string id() const { return "box"; }
  std::string bundle() const { return scratch_.path(); }
  std::string cgroup() const { return cgroup_; }

 private:
  Scratch& scratch_;
  std::string binary_, cgroup_;
};

// Installed runtimes, "crun" and "runc".
std::vector<std::string> runtimes();
// The Error that f throws; fails the test if there is none.
template <typename F>
Error error_of(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    return error;
  }
  throw std::runtime_error("no Error was thrown");
}

}  // namespace ctrd::oci
