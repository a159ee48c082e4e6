// SPDX-License-Identifier: Apache-2.0
// containerd's Mount: what a snapshotter returns and a shim mounts. Option words are mount(8)'s;
// the rest is data.
#pragma once

#include <string>
#include <vector>

namespace ctrd {

struct Mount {
  std::string type = {};  // "overlay", "bind", "tmpfs" ...
  std::string source = {};
  std::string target = {};  // below the rootfs, usually ""
  std::vector<std::string> options = {};
  bool operator==(const Mount&) const = default;
};

// Mounts them in order at target (+ mount.target beneath it). A failure unmounts what this call
// mounted. Throws sys_error naming type, source and target. bind + ro is remounted read-only;
// propagation words come separately. Overlay data that would not fit a page names its lower
// directories by descriptor (/proc/self/fd/<n>), so the working directory never changes. loop,
// idmapped mounts and fuse helpers are Unimplemented. Source: shim-protocol.md 7.7
void mount_all(const std::vector<Mount>& mounts, const std::string& target);
// Unmounts everything at and below target, newest first, MNT_DETACH only as a last resort. Nothing
// mounted is fine.
void unmount_all(const std::string& target);
// Targets of /proc/self/mountinfo at or below path, newest last.
std::vector<std::string> mounts_below(const std::string& path);

}  // namespace ctrd
