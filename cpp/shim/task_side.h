// SPDX-License-Identifier: Apache-2.0
// What the processes of a task share, and see of it.
#pragma once

#include <functional>
#include <list>
#include <optional>
#include <string>

#include "api/bundle.h"
#include "shim/bundle.h"
#include "shim/containerd_stdio.h"
#include "shim/exec_cgroup.h"
#include "shim/leftovers.h"
#include "shim/log_program.h"
#include "shim/publisher.h"
#include "shim/reaper.h"
#include "shim/runner.h"

namespace ctrd::shim {

struct TaskLimits {
  Nanos fifo = std::chrono::seconds(10);   // for a reader to come
  Nanos place = std::chrono::seconds(14);  // for another exec to have started
  Nanos kill = std::chrono::seconds(5);    // for SIGKILLed processes to go
  std::optional<Nanos> verb = {};          // instead of oci::verb_deadline
};

// Who it works for: an engine of ours, or containerd, which has habits of its own (options,
// names of cgroups, stdio).
struct Client {
  std::string ns = "default";
  bool is_containerd = false;
};

struct TaskSide {
  TaskSide(asio::io_context& the_loop, Reaper& the_reaper, Bundle the_bundle, std::string the_id,
           TaskLimits the_limits, Client the_client)
      : loop(the_loop),
        reaper(the_reaper),
        bundle(std::move(the_bundle)),
        id(std::move(the_id)),
        limits(the_limits),
        client(std::move(the_client)),
        runner(reaper),
        publisher(loop, client.ns) {}

  oci::Command limited(oci::Command command) const {
    if (limits.verb) command.deadline = *limits.verb;
    return command;
  }
  // log: relative to the bundle.
  oci::Runtime runtime(const std::string& log) const {
    return {
        .binary = options.binary_name,
        .root = options.runtime_root.empty() ? bundle.file(api::kRuntimeDir) : options.runtime_root,
        .log = bundle.file(log),
        .systemd_cgroup = options.systemd_cgroup};
  }
  // What the paths of a request mean in our words (api/bundle.h).
  StdioPaths stdio_paths(StdioPaths paths) const {
    return client.is_containerd ? containerd_stdio(std::move(paths)) : paths;
  }

  asio::io_context& loop;
  Reaper& reaper;
  Bundle bundle;
  std::string id;
  TaskLimits limits;
  Client client;
  Runner runner;
  Publisher publisher;
  LogPrograms loggers{.loop = loop, .reaper = reaper, .bundle = bundle, .ns = client.ns};
  Lock exec_places{8};  // of execs that are starting
  api::Options options;
  ConfigFacts config;
  // Processes that the kernel has killed for want of memory.
  uint64_t count_oom_kills() const { return oom_kills(config.cgroups_path) + oom_kills_gone; }
  uint64_t oom_kills_seen = 0;
  uint64_t oom_kills_gone = 0;  // in cgroups of execs that are there no more, with their counters
  // Cgroups of execs that have gone. What is in one lives on, as long as the container at most; its
  // removal is tried again when there is another exec.
  std::list<ExecCgroup> left_cgroups;
  uint64_t exec_cgroups_made = 0;  // part of their names: none is entered twice
  void remove_left_cgroups();
  bool over = false;  // init has ended, or the shim is ending
  // Throws kFailedPrecondition unless an exec may be started now.
  std::function<void()> check_takes_execs;
};

}  // namespace ctrd::shim
