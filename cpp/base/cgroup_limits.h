// SPDX-License-Identifier: Apache-2.0
// The files that limit a container's cgroup, v1 and v2: write one, and put all of them back when a
// change failed half-way. Not for what they mean.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace ctrd {

// Writes into the hierarchies that have this file. False: none has it. Throws sys_error naming
// both when the kernel refuses; invalid unless the path begins with "/ctrd-".
bool write_limit(const std::string& cgroups_path, const std::string& file,
                 const std::string& value);

// Whether block devices can be given weights; v2 shows it in no file of the root, so there: true.
bool has_io_weight();

// What the files of memory, cpu, cpuset and pids say.
class SavedLimits {
 public:
  explicit SavedLimits(std::string cgroups_path);
  // As they were, as far as the kernel allows; never throws.
  void restore() const;

 private:
  std::string path_;
  std::vector<std::pair<std::string, std::string>> values_;
};

}  // namespace ctrd
