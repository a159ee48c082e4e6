// SPDX-License-Identifier: Apache-2.0
#include "base/cgroup_limits.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "base/cgroup.h"
#include "base/error.h"
#include "base/files.h"
#include "base/log.h"

namespace ctrd {
namespace {

// The limit on memory before that on memory and swap together, and again after it: the kernel wants
// the first never above the second, whichever way they go.
constexpr const char* kFiles[] = {"memory.limit_in_bytes",
                                  "memory.memsw.limit_in_bytes",
                                  "memory.limit_in_bytes",
                                  "memory.max",
                                  "memory.swap.max",
                                  "cpu.cfs_quota_us",
                                  "cpu.cfs_period_us",
                                  "cpu.shares",
                                  "cpu.max",
                                  "cpu.weight",
                                  "cpuset.cpus",
                                  "cpuset.mems",
                                  "pids.max"};

void check_ours(const std::string& path) {
  if (!path.starts_with("/ctrd-")) throw invalid("cgroups_path", path, "must begin with /ctrd-");
}

// 0, or the errno.
int write_into(int dir, const std::string& file, const std::string& value) {
  UniqueFd fd(::openat(dir, file.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) return errno;
  return ::write(fd.get(), value.data(), value.size()) < 0 ? errno : 0;
}

}  // namespace

bool write_limit(const std::string& cgroups_path, const std::string& file,
                 const std::string& value) {
  check_ours(cgroups_path);
  const std::string what = "write \"" + value + "\" to " + file + " of the cgroup";
  bool found = false;
  for (const UniqueFd& dir : open_cgroup(cgroups_path)) {
    int err = write_into(dir.get(), file, value);
    found |= err == 0;
    if (err != 0 && err != ENOENT) throw sys_error(err, what);
  }
  return found;
}

bool has_io_weight() {
  for (const auto& mount : cgroup_mounts()) {
    UniqueFd dir = open_dir(mount);
    for (const char* name : {"blkio.weight", "blkio.bfq.weight"})
      if (exists_at(dir.get(), name)) return true;
    if (read_control(dir.get(), "cgroup.controllers").find("io") != std::string::npos) return true;
  }
  return false;
}

SavedLimits::SavedLimits(std::string cgroups_path) : path_(std::move(cgroups_path)) {
  auto dirs = open_cgroup(path_);
  for (const char* file : kFiles) {
    for (const UniqueFd& dir : dirs) {
      std::string text = read_control(dir.get(), file);
      if (!text.empty() && text != "\n") values_.emplace_back(file, std::move(text));
    }
  }
}

void SavedLimits::restore() const {
  try {
    auto dirs = open_cgroup(path_);
    for (const auto& [file, value] : values_)
      for (const UniqueFd& dir : dirs)
        if (read_control(dir.get(), file) != value) write_into(dir.get(), file, value);
  } catch (const Error& error) {
    log(Level::kWarning, "limits of " + path_ + " could not be put back: " + error.message());
  }
}

}  // namespace ctrd
