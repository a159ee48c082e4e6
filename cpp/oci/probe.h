// SPDX-License-Identifier: Apache-2.0
// Does this runtime work on this machine? Only trying tells (crun refuses hybrid cgroups): a real
// create, start, delete of a container whose payload is a static binary of ours, in a private
// directory that is removed again. And: does overlay work here?
#pragma once

#include <string>
#include <string_view>

#include "base/time.h"

namespace ctrd::oci {

struct Probe {
  bool ok = false;
  std::string binary;   // absolute path, "" if not found
  std::string version;  // first line of --version
  std::string reason;   // why not, in the runtime's words; "" if ok
};
// payload: the static shim binary, run as `payload -v` inside. state_dir: directory descriptor in
// which a directory of kProbePrefix is made and removed.
Probe probe_runtime(const std::string& name_or_path, const std::string& payload, int state_dir,
                    const Wait& wait);

inline constexpr std::string_view kProbePrefix = ".probe-";  // base/leftover.h
// What a probe left whose process died in the middle of it: its container, cgroup and directory.
void remove_probe(int state_dir, const std::string& name);

}  // namespace ctrd::oci
