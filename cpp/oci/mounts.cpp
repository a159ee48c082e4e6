// SPDX-License-Identifier: Apache-2.0
#include "oci/mounts.h"

#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "base/error.h"

namespace ctrd::oci {
namespace {

Json mount_json(std::string_view destination, std::string_view type, std::string_view source,
                Json options) {
  return {{"destination", destination},
          {"type", type},
          {"source", source},
          {"options", std::move(options)}};
}

Json default_mounts(bool privileged) {
  const char* access = privileged ? "rw" : "ro";
  return Json::array({
      mount_json("/proc", "proc", "proc", {"nosuid", "noexec", "nodev"}),
      mount_json("/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"}),
      mount_json("/dev/pts", "devpts", "devpts",
                 {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}),
      mount_json("/dev/shm", "tmpfs", "shm",
                 {"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}),
      mount_json("/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev"}),
      mount_json("/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev", access}),
      mount_json("/sys/fs/cgroup", "cgroup", "cgroup",
                 {"nosuid", "noexec", "nodev", "relatime", access}),
      mount_json("/run", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"}),
  });
}

// Since Linux 5.12; both runtimes use it for "rro". Without it, what is mounted below a read-only
// source stays writable.
bool has_mount_setattr() {
  static const bool found =
      ::syscall(SYS_mount_setattr, -1, nullptr, 0, nullptr, 0) < 0 && errno != ENOSYS;
  return found;
}

bool is_directory(const std::string& path) {
  struct stat found {};
  return ::stat(path.c_str(), &found) == 0 && S_ISDIR(found.st_mode);
}

Json bind_json(const MountOption& mount) {
  check_bind_source(mount.field, mount.source);
  Json options = {"rbind", "rprivate"};
  options.push_back(mount.read_only ? "ro" : "rw");
  // crun 1.8 takes "rro" for directories only; nothing can be below a file.
  if (mount.read_only && is_directory(mount.source) && has_mount_setattr())
    options.push_back("rro");
  return mount_json(mount.destination, "bind", mount.source, std::move(options));
}

Json tmpfs_json(const MountOption& mount) {
  Json options = {"nosuid", "nodev", "mode=1777"};
  if (mount.size_bytes) {
    if (*mount.size_bytes <= 0) {
      throw invalid(mount.field, std::to_string(*mount.size_bytes),
                    "a tmpfs's size must be positive");
    }
    options.push_back("size=" + std::to_string(*mount.size_bytes));
  }
  if (mount.read_only) options.push_back("ro");
  return mount_json(mount.destination, "tmpfs", "tmpfs", std::move(options));
}

Json option_json(const MountOption& mount) {
  check_destination(mount.field, mount.destination);
  if (mount.type == "bind") return bind_json(mount);
  if (mount.type == "tmpfs") return tmpfs_json(mount);
  throw invalid(mount.field, mount.type, "a mount's type must be bind or tmpfs");
}

}  // namespace

Json mounts_json(const SpecOptions& options) {
  Json mounts = default_mounts(options.privileged);
  for (const MountOption& mount : options.mounts) mounts.push_back(option_json(mount));
  return mounts;
}

Json masked_paths() {
  return {"/proc/acpi",
          "/proc/asound",
          "/proc/interrupts",
          "/proc/kcore",
          "/proc/keys",
          "/proc/latency_stats",
          "/proc/sched_debug",
          "/proc/scsi",
          "/proc/timer_list",
          "/proc/timer_stats",
          "/sys/devices/virtual/powercap",
          "/sys/firmware",
          "/sys/fs/selinux"};
}

Json readonly_paths() {
  return {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};
}

std::string normal_path(const std::string& path) {
  std::string normal = std::filesystem::path(path).lexically_normal().string();
  while (normal.size() > 1 && normal.back() == '/') normal.pop_back();
  // POSIX leaves "//x" to the system; for Linux it is "/x".
  while (normal.starts_with("//")) normal.erase(0, 1);
  return normal;
}

void check_destination(std::string_view field, const std::string& destination) {
  if (destination.empty()) throw invalid(field, destination, "a mount needs a destination");
  if (destination.find('\0') != std::string::npos) {
    throw invalid(field, destination, "a mount's destination must not have NUL in it");
  }
  if (destination.front() != '/') {
    throw invalid(field, destination, "a mount's destination must be absolute");
  }
  std::string normal = normal_path(destination);
  if (normal == "/") throw invalid(field, destination, "a mount must not hide the root");
  if (normal == "/proc" || normal.starts_with("/proc/")) {
    throw invalid(field, destination, "a mount must not hide /proc or a part of it");
  }
}

void check_bind_source(std::string_view field, const std::string& source) {
  if (source.empty() || source.front() != '/') {
    throw invalid(field, source, "a bind mount's source must be an absolute path");
  }
  if (source.find('\0') != std::string::npos) {
    throw invalid(field, source, "a bind mount's source must not have NUL in it");
  }
  struct stat found {};
  if (::stat(source.c_str(), &found) == 0) return;
  int err = errno;
  throw sys_error(err, "mount source \"" + source + "\"")
      .with("field", std::string(field))
      .with("path", source);
}

}  // namespace ctrd::oci
