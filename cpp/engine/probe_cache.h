// SPDX-License-Identifier: Apache-2.0
// Answers of probes, in memory and in <state>/.probe, each valid for one fingerprint.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "oci/probe.h"

namespace ctrd::engine {

// Device, inode, size and mtime of the files (a directory: no mtime), the boot id and the cgroup
// mounts.
std::string fingerprint(const std::vector<std::string>& files);

class ProbeCache {
 public:
  // The answer for this name and fingerprint; probed by one thread at a time. A "no" may come from
  // an overloaded machine: it is believed for ten minutes, and not at all if `fresh`.
  oci::Probe get(int state_dir, const std::string& name, const std::string& print,
                 const std::function<oci::Probe()>& probe, const Wait& wait, bool fresh = false);

 private:
  struct Known {
    oci::Probe probe;
    int64_t until_ns = 0;  // 0: for ever
  };
  static bool holds(const Known& known, bool fresh);

  std::timed_mutex mutex_;
  std::map<std::string, Known> known_;  // by name and fingerprint
};

}  // namespace ctrd::engine
