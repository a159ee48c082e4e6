// SPDX-License-Identifier: Apache-2.0
#include "engine/doctor_criu.h"

#include <cstdio>
#include <cstdlib>

#include "base/error.h"
#include "base/spawn.h"
#include "engine/probe_cache.h"
#include "oci/criu_log.h"

namespace ctrd::engine {
namespace {

constexpr Nanos kLimit = std::chrono::seconds(20);

Output run(std::vector<std::string> argv, const Wait& wait) {
  const char* path = std::getenv("PATH");
  SpawnSpec spec;
  spec.argv = std::move(argv);
  spec.env = {std::string("PATH=") + (path == nullptr ? "/usr/sbin:/usr/bin:/sbin:/bin" : path)};
  spec.new_session = true;
  return run_command(spec, "", wait.within(kLimit), 64u << 10);
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

// Its last words, which are why.
std::string why(const Output& output) {
  std::string error = oci::first_criu_error(output.out + output.err);
  if (!error.empty()) return error;
  std::string all = output.out + output.err;
  while (!all.empty() && all.back() == '\n') all.pop_back();
  return all.substr(all.rfind('\n') + 1);
}

}  // namespace

Check criu_check(const Wait& wait) {
  auto binary = find_program("criu");
  if (!binary) return {"criu", false, false, "not on PATH", "install criu, to make checkpoints"};
  Output version = run({*binary, "--version"}, wait);
  Output checked = run({*binary, "check"}, wait);
  std::string found = *binary + ", " + escaped(first_line(version.out), 100);
  if (checked.exit.status == 0) return {"criu", true, false, found, ""};
  return {"criu", false, false, found + ": " + escaped(why(checked), 200),
          "checkpoints need root and a CRIU that is new enough for this kernel"};
}

std::pair<int, int> criu_version(Core& core, const Wait& wait) {
  auto binary = find_program("criu");
  if (!binary) return {0, 0};
  oci::Probe probe = core.probes.get(
      core.root.state.get(), "criu " + *binary, fingerprint({*binary}),
      [&] {
        Output output = run({*binary, "--version"}, wait);
        return oci::Probe{output.exit.status == 0, *binary, first_line(output.out), ""};
      },
      wait);
  std::pair<int, int> version{0, 0};
  if (std::sscanf(probe.version.c_str(), "Version: %d.%d", &version.first, &version.second) < 2)
    return {0, 0};
  return version;
}

// runc always is; crun says so.
bool makes_checkpoints(const std::string& runtime, const Wait& wait) {
  std::string words = run({runtime, "--version"}, wait).out;
  return !words.starts_with("crun") || words.find("+CRIU") != std::string::npos;
}

}  // namespace ctrd::engine
