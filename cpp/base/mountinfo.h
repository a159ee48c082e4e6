// SPDX-License-Identifier: Apache-2.0
// The mount table as this process sees it. For base's own mount.cpp and cgroup.cpp, and for doctor.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ctrd {

struct MountEntry {
  std::string device;  // "major:minor"
  std::string root;    // the part of the filesystem that is mounted
  std::string target;  // unescaped
  std::string type;
  std::string source;
  std::string options;  // the superblock's, joined by ','
  bool operator==(const MountEntry&) const = default;
};

// The lines of a mountinfo text, in its order; a line that is none is left out. Source: proc(5)
std::vector<MountEntry> parse_mountinfo(std::string_view text);
// /proc/self/mountinfo, read anew each time.
std::vector<MountEntry> read_mountinfo();

}  // namespace ctrd
