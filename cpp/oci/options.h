// SPDX-License-Identifier: Apache-2.0
// What a caller says about a container's spec, as plain values (no JSON type, so that bindings and
// engine can include it).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace ctrd::oci {

struct MountOption {
  std::string type;              // "bind" or "tmpfs"
  std::string source = {};       // bind: an absolute path on the host that exists
  std::string destination = {};  // absolute, in the container
  bool read_only = false;
  std::optional<int64_t> size_bytes = {};  // tmpfs
  std::string field = "mounts";            // the caller's name for it, for messages
};

// Limits on one block device. -1: no limit.
struct IoOptions {
  std::string device;  // "/dev/vda", "254:0" (a whole disk), or "*", which takes a weight only
  std::optional<int64_t> read_bps = {}, write_bps = {};    // bytes a second
  std::optional<int64_t> read_iops = {}, write_iops = {};  // operations a second
  std::optional<int64_t> weight = {};                      // 10 to 1000, the kernel's own is 100
};

// What is not set is left as it is: the default at creation, what there is in an update.
struct ResourceOptions {
  // swap: memory and swap together, as the OCI spec has it. -1: no limit.
  std::optional<int64_t> memory_bytes = {}, swap_bytes = {}, pids = {};
  std::optional<double> cpus = {};         // -1: no limit
  std::optional<int64_t> cpu_weight = {};  // 1 to 10,000, as cgroup v2 has it
  std::optional<std::string> cpuset_cpus = {}, cpuset_mems = {};
  std::vector<IoOptions> io = {};
};

struct SpecOptions {
  std::vector<std::string> args;
  std::vector<std::pair<std::string, std::optional<std::string>>> env;  // nullopt removes
  std::string cwd = "/";
  std::string user;      // "", "uid", "uid:gid", "name", "name:group"
  std::string hostname;  // "": the id
  std::map<std::string, std::string> annotations;
  std::vector<MountOption> mounts;
  std::string network = "none";  // or "host"
  bool read_only = false, tty = false;
  bool init = false;  // the shim's program is process 1: it reaps, and passes signals on
  // Everything the host's root may, but its namespaces: all capabilities, no seccomp, nothing
  // masked, all devices. What is said beside it holds.
  bool privileged = false;
  std::optional<bool> no_new_privileges = {};                 // nullopt: true, unless privileged
  std::optional<std::pair<uint16_t, uint16_t>> console_size;  // cols, rows
  std::vector<std::string> cap_add, cap_drop;                 // "NET_ADMIN", "CAP_NET_ADMIN", "ALL"
  std::string seccomp;       // "default", "unconfined"; "": default, unless privileged
  std::string seccomp_json;  // a whole profile instead; "" if none
  // "NOFILE" or "RLIMIT_NOFILE" -> soft, hard; clamped to our hard limit
  std::map<std::string, std::pair<uint64_t, uint64_t>> rlimits;
  std::map<std::string, std::string> sysctls;  // of the container's own namespaces
  std::vector<std::string> devices;            // "/dev/fuse", "/dev/sda:/dev/xvda:r"
  ResourceOptions resources;
  std::string spec_patch;  // RFC 7396 merge patch, JSON text; "" if none
  // The whole spec in, the whole spec out (JSON text); may be empty.
  std::function<std::string(std::string)> edit_spec;
};

}  // namespace ctrd::oci
