// SPDX-License-Identifier: Apache-2.0
// New limits for a container that exists: its spec as it will be, what the runtime's update is
// told, and what has to be written into the cgroup beside that, for crun 1.8 cannot lift a limit
// and runc 1.1 changes no limit of a block device. Not for doing it. Source: shim-protocol.md 7;
// tried with both.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "oci/options.h"

namespace ctrd::oci {

// One write into this file of the container's cgroup, in the hierarchies that have it.
struct Control {
  std::string file, value;
  std::string field;  // the caller's name for it
};
struct ResourceUpdate {
  std::string spec;               // as stored
  std::string resources;          // LinuxResources for the runtime, JSON; "{}": nothing for it
  std::vector<Control> controls;  // after the runtime's update
  std::vector<Control> undo;      // instead, when that was refused
};

// What changes do not name stays. created_spec is the one that the runtime was told at creation:
// its update writes that again, so controls lift what is no more. Throws invalid naming the option.
ResourceUpdate update_resources(std::string_view stored_spec, const ResourceOptions& changes,
                                std::string_view created_spec = "{}");

}  // namespace ctrd::oci
