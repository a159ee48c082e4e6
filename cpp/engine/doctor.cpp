// SPDX-License-Identifier: Apache-2.0
// What this machine has and lacks: each line found out by trying, with what to do about it.
#include <sys/utsname.h>
#include <unistd.h>

#include <charconv>
#include <string_view>

#include "base/cgroup.h"
#include "base/error.h"
#include "base/spawn.h"
#include "engine/doctor_criu.h"
#include "engine/host.h"
#include "engine/verbs.h"

namespace ctrd::engine {
namespace {

Check kernel() {
  utsname name{};
  ::uname(&name);
  std::string_view release = name.release;
  int major = 0, minor = 0;
  auto [dot, ignored] = std::from_chars(release.begin(), release.end(), major);
  if (dot != release.end()) std::from_chars(dot + 1, release.end(), minor);
  bool ok = major > 5 || (major == 5 && minor >= 10);
  return {"kernel", ok, true, name.release, ok ? "" : "Linux 5.10 or newer is needed"};
}

Check user() {
  bool ok = ::geteuid() == 0;
  return {"user", ok, true, "uid " + std::to_string(::geteuid()), ok ? "" : "run as root"};
}

Check directories(const Core& core) {
  return {"root", true, true, core.root.path + ", state " + core.root.state_path, ""};
}

Check cgroup() {
  std::size_t count = cgroup_mounts().size();
  std::string kind = is_cgroup_v2() ? "v2" : "v1";
  bool ok = count > 0;
  return {"cgroup", ok, true,
          ok ? kind + ", " + std::to_string(count) + " mounted" : "none mounted",
          ok ? "" : "mount cgroup2 at /sys/fs/cgroup"};
}

Check shim(const std::string& path, const Wait& wait) {
  SpawnSpec spec;
  spec.argv = {path, "-v"};
  try {
    Output output = run_command(spec, "", wait.within(std::chrono::seconds(10)), 4096);
    if (output.exit.status == 0) return {"shim", true, true, path, ""};
    return {"shim", false, true, path + ": " + escaped(output.out + output.err, 200),
            "install ctrd anew"};
  } catch (const Error& error) {
    return {"shim", false, true, error.message(), "install ctrd anew, or set CTRD_SHIM"};
  }
}

// A check that could not be made is one that failed.
template <typename F>
Check guarded(const char* name, bool needed, const F& check) {
  try {
    return check();
  } catch (const Error& error) {
    return {name, false, needed, error.message(), ""};
  }
}

Check overlay(Core& core, const Wait& wait) {
  oci::Probe probe = probed_overlay(core, wait);
  return {"overlay", probe.ok, true, probe.ok ? "works below " + core.root.path : probe.reason,
          probe.ok ? ""
                   : "put the root on a filesystem that overlay takes as its upper layer (ext4, "
                     "xfs, tmpfs)"};
}

Check runtime(Core& core, const char* name, const Wait& wait) {
  oci::Probe probe = probed_runtime(core, name, wait);
  std::string found = probe.ok ? probe.binary + ", " + probe.version : probe.reason;
  Check check{name, probe.ok, false, found, ""};
  if (probe.ok && !makes_checkpoints(probe.binary, wait)) {
    check.found += ", built without CRIU";
    check.hint = "for checkpoints, runc or one with +CRIU in its --version";
  }
  if (!probe.ok && probe.binary.empty()) check.hint = std::string("install ") + name;
  return check;
}

Check default_runtime(Core& core, const Wait& wait) {
  return {"default runtime", true, true, resolve_runtime(core, "", wait), ""};
}

}  // namespace

std::vector<Check> doctor(Core& core, const Wait& wait) {
  std::vector<Check> checks{kernel(), user(), directories(core), cgroup()};
  checks.push_back(shim(core.config.shim, wait));
  checks.push_back(guarded("overlay", true, [&] { return overlay(core, wait); }));
  for (const char* name : {"crun", "runc"})
    checks.push_back(guarded(name, false, [&] { return runtime(core, name, wait); }));
  checks.push_back(guarded("criu", false, [&] { return criu_check(wait); }));
  checks.push_back(guarded("default runtime", true, [&] { return default_runtime(core, wait); }));
  return checks;
}

std::vector<Check> doctor(const Config& config, const Wait& wait) {
  try {
    return Engine::open(config)->doctor(wait);
  } catch (const Error& error) {
    return {
        kernel(),
        user(),
        {"root", false, true, error.message(), "choose another root, or set its owner and mode"},
        cgroup(),
        shim(config.shim, wait)};
  }
}

}  // namespace ctrd::engine
