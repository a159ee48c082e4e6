// SPDX-License-Identifier: Apache-2.0
#include "engine/host.h"

#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/error.h"
#include "base/files.h"
#include "base/leftover.h"
#include "base/process.h"
#include "base/spawn.h"
#include "engine/other_shim.h"
#include "engine/probe_cache.h"

namespace ctrd::engine {
namespace {

constexpr Nanos kProbeLimit = std::chrono::seconds(60);

oci::Probe try_overlay(Core& core, const Wait& wait) {
  std::string name = name_of_ours(oci::kProbePrefix);
  make_dir_at(core.root.snapshots.get(), name, 0700);
  SpawnSpec spec;
  spec.argv = {core.config.shim, "-dir", core.root.path + "/snapshots/" + name, "probe-overlay"};
  oci::Probe probe;
  try {
    Output output = run_command(spec, "", wait.within(kProbeLimit), 4096);
    probe.ok = output.exit.status == 0;
    probe.reason = probe.ok ? "" : output.out + output.err;
  } catch (...) {
    remove_tree_at(core.root.snapshots.get(), name);
    throw;
  }
  remove_tree_at(core.root.snapshots.get(), name);
  while (probe.reason.ends_with('\n')) probe.reason.pop_back();
  return probe;
}

std::string find_runtime(const std::string& name) {
  auto path = find_program(name);
  if (path) return *path;
  throw not_found(Kind::kRuntime, "runtime \"" + name + "\": there is no such program on PATH")
      .with("field", "runtime")
      .with("value", name)
      .with("runtime", name);
}

std::optional<std::string> find_working(Core& core, bool fresh, std::string* reasons,
                                        const Wait& wait) {
  reasons->clear();
  for (const char* name : {"crun", "runc"}) {
    oci::Probe probe = probed_runtime(core, name, wait, fresh);
    if (probe.ok) return probe.binary;
    *reasons += std::string(reasons->empty() ? "" : "; ") + name + ": " + probe.reason;
  }
  return std::nullopt;
}

std::string pick_runtime(Core& core, const Wait& wait) {
  std::string reasons;
  for (bool fresh : {false, true})
    if (auto binary = find_working(core, fresh, &reasons, wait)) return *binary;
  throw Error(Code::kUnimplemented, "no OCI runtime works on this machine: " + reasons)
      .with("hint", "install crun or runc; ctrd.doctor() tells what each of them says");
}

// What another shim is given: the engine's default, unless that is a shim itself.
std::string resolve_below(Core& core, const Wait& wait) {
  const std::string& name = core.config.runtime;
  bool named = name != "auto" && !name.starts_with("io.");
  return named ? find_runtime(name) : pick_runtime(core, wait);
}

}  // namespace

bool is_cgroup_v2() {
  struct statfs facts;
  return ::statfs("/sys/fs/cgroup", &facts) == 0 && facts.f_type == CGROUP2_SUPER_MAGIC;
}

oci::Probe probed_runtime(Core& core, const std::string& name, const Wait& wait, bool fresh) {
  auto binary = find_program(name);
  if (!binary) return {false, "", "", "not found on PATH"};
  std::string print = fingerprint({*binary, core.config.shim});
  return core.probes.get(
      core.root.state.get(), "runtime " + *binary, print,
      [&] {
        return oci::probe_runtime(*binary, core.config.shim, core.root.state.get(),
                                  wait.within(kProbeLimit));
      },
      wait, fresh);
}

oci::Probe probed_overlay(Core& core, const Wait& wait, bool fresh) {
  std::string print = fingerprint({core.config.shim, core.root.path + "/snapshots"});
  return core.probes.get(
      core.root.state.get(), "overlay", print, [&] { return try_overlay(core, wait); }, wait,
      fresh);
}

void need_shim(const Core& core) {
  if (find_program(core.config.shim)) return;
  throw not_found(Kind::kPath, "the shim " + core.config.shim + " is not there, or not executable")
      .with("path", core.config.shim);
}

void need_overlay(Core& core, const Wait& wait) {
  oci::Probe probe = probed_overlay(core, wait);
  if (!probe.ok) probe = probed_overlay(core, wait, true);
  if (probe.ok) return;
  throw Error(Code::kUnimplemented,
              "overlay does not work below " + core.root.path + ": " + probe.reason)
      .with(
          "hint",
          "put the root on a filesystem that overlay takes as its upper layer (ext4, xfs, tmpfs)");
}

std::string resolve_runtime(Core& core, const std::string& wanted, const Wait& wait) {
  const std::string& name = wanted.empty() ? core.config.runtime : wanted;
  if (name.find('\0') != name.npos || name.empty())
    throw invalid("runtime", name, "must be \"auto\", a name or a path");
  if (is_other_shim(name)) return resolve_below(core, wait);
  if (name == "auto" || name == kOurShim) return pick_runtime(core, wait);
  return find_runtime(name);
}

}  // namespace ctrd::engine
